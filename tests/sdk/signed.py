"""Requests that are signed: what a signature says, and whether AWS's SDK gives the same one."""

import re

# The example that AWS's documentation signs with; the variables that the SDK and we read.
ACCESS_KEY = {
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    "AWS_SESSION_TOKEN": "session/token+1==",
    "AWS_REGION": "eu-west-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


def proof(check, name, base, entry):
    """Who signs for what. A signature that botocore would not give to the same request fails a check."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    headers = entry["headers"]
    pattern = r"AWS4-HMAC-SHA256 Credential=(\w+)/(\d+)/([\w-]+)/(\w+)/aws4_request, SignedHeaders=([\w;-]+), Signature=(\w+)"
    found = re.fullmatch(pattern, headers["authorization"])
    key_id, date, region, service, signed, signature = found.groups()
    signed = signed.split(";")
    request = AWSRequest("POST", base + entry["path"], {field: headers[field] for field in signed}, entry["sent"].encode())
    request.context["timestamp"] = headers["x-amz-date"]
    secret, token = ACCESS_KEY["AWS_SECRET_ACCESS_KEY"], ACCESS_KEY["AWS_SESSION_TOKEN"]
    signer = SigV4Auth(Credentials(key_id, secret, token), service, region)
    text = signer.string_to_sign(request, signer.canonical_request(request))
    check.same(f"{name} signature", signature, signer.signature(text, request))
    check.same(f"{name} date", headers["x-amz-date"][:8], date)
    check.that(f"{name} signs all of AWS", all(field in signed for field in headers if field.startswith("x-amz-")))
    check.that(f"{name} sends no secret", not any(secret in value for value in headers.values()))
    return key_id, region, service, headers["x-amz-security-token"]
