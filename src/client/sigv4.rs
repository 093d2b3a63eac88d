//! Signature Version 4 of AWS: a request is signed, and the secret stays here.
//!
//! Source: the requests of AWS's aws4_testsuite, and botocore 1.44.5 (`auth.py`) for what clients of services other than
//! S3 sign. A signature holds for one body, one host and some minutes, so each attempt has its own.

use std::time::{SystemTime, UNIX_EPOCH};

use ring::{digest, hmac};
use ureq::http::Uri;
use zeroize::Zeroizing;

use super::secret::Secret;
use crate::base::host;
use crate::base::percent;

/// The variable of the access key's id. Where it is named, it stands for all three.
pub const KEY_ID: &str = "AWS_ACCESS_KEY_ID";
/// The variable of its secret.
pub const SECRET_KEY: &str = "AWS_SECRET_ACCESS_KEY";
/// The variable of the token of a session, for keys that expire.
pub const SESSION_TOKEN: &str = "AWS_SESSION_TOKEN";
const REGIONS: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];

/// An access key, and what it signs for.
pub struct Signer {
    /// The id of the access key.
    pub id: Zeroizing<String>,
    /// Its secret.
    pub secret: Zeroizing<String>,
    /// What comes with an access key that expires.
    pub token: Option<Zeroizing<String>>,
    region: String,
    service: &'static str,
}

impl Signer {
    /// Reads the access key from the environment, for requests to a service at `endpoint`.
    ///
    /// # Errors
    /// A variable that is not set, a region that is nowhere named.
    pub fn read(service: &'static str, endpoint: &Uri) -> Result<Signer, String> {
        let read = |name: &str| Secret::Env(name.into()).read();
        let is_set = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let region = match (region_in(host::of(endpoint)), REGIONS.iter().find(|name| is_set(name))) {
            (Some(region), _) => region.to_owned(),
            (None, Some(name)) => read(name)?.to_string(),
            (None, None) => {
                return Err(
                    "a signature names the region, and the url has none: set the environment variable \
                            AWS_REGION in this process"
                        .into(),
                );
            }
        };
        let token = is_set(&SESSION_TOKEN).then(|| read(SESSION_TOKEN)).transpose()?;
        Ok(Signer { id: read(KEY_ID)?, secret: read(SECRET_KEY)?, token, region, service })
    }

    /// What tells this signer from others, its secrets among it.
    pub fn parts(&self) -> [&[u8]; 5] {
        let token = self.token.as_ref().map_or("", |token| token.as_str());
        [&self.id, &self.secret, token, &self.region, self.service].map(str::as_bytes)
    }

    /// The headers that sign a POST of `body`, with `content_type`, at this time.
    pub fn sign(
        &self,
        endpoint: &Uri,
        content_type: &str,
        body: &[u8],
        now: SystemTime,
    ) -> Vec<(&'static str, Zeroizing<String>)> {
        let time = timestamp(now);
        let host = host_header(endpoint);
        let mut headers = vec![("content-type", content_type), ("host", &*host), ("x-amz-date", &time)];
        headers.extend(self.token.iter().map(|token| ("x-amz-security-token", token.as_str())));
        let authorization = self.authorization("POST", endpoint, &headers, body, &time);
        let token = self.token.iter().map(|token| ("x-amz-security-token", token.clone()));
        let mut made = vec![("authorization", authorization), ("x-amz-date", Zeroizing::new(time.clone()))];
        made.extend(token);
        made
    }

    /// The header Authorization. `headers` are those that are signed, sorted by name.
    fn authorization(
        &self,
        method: &str,
        endpoint: &Uri,
        headers: &[(&str, &str)],
        body: &[u8],
        time: &str,
    ) -> Zeroizing<String> {
        let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
        let lines = Zeroizing::new(headers.iter().fold(String::new(), |lines, (name, value)| {
            let lines = Zeroizing::new(lines);
            format!("{}{name}:{}\n", *lines, value.trim())
        }));
        let (path, query) = (canonical_path(endpoint.path()), canonical_query(endpoint));
        let canonical = format!("{method}\n{path}\n{query}\n{}\n{names}\n{}", *lines, sha256(body));
        let canonical = Zeroizing::new(canonical);
        let scope = format!("{}/{}/{}/aws4_request", &time[..8], self.region, self.service);
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", sha256(canonical.as_bytes()));
        let first = Zeroizing::new(format!("AWS4{}", *self.secret));
        let key = scope.split('/').fold(hmac_key(first.as_bytes()), |key, part| {
            hmac_key(hmac::sign(&key, part.as_bytes()).as_ref())
        });
        let signature = hex(hmac::sign(&key, text.as_bytes()).as_ref());
        Zeroizing::new(format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
            *self.id
        ))
    }
}

/// The header Host as it is sent: without the port that is the scheme's own.
fn host_header(endpoint: &Uri) -> String {
    let host = endpoint.host().unwrap_or_default();
    let own = if endpoint.scheme_str() == Some("https") { 443 } else { 80 };
    match endpoint.port_u16() {
        Some(port) if port != own => format!("{host}:{port}"),
        _ => host.to_owned(),
    }
}

fn hmac_key(bytes: &[u8]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, bytes)
}

fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The region that a host of AWS names, as `us-east-1` or `us-gov-west-1`.
fn region_in(host: &str) -> Option<&str> {
    let is_of_aws = [".amazonaws.com", ".amazonaws.com.cn", ".api.aws"].iter().any(|end| host.ends_with(end));
    let is_region = |label: &&str| {
        let parts: Vec<_> = label.split('-').collect();
        let [first, middle @ .., last] = parts.as_slice() else { return false };
        let is_word = |word: &&str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase());
        let number = !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit());
        first.len() == 2 && is_word(first) && !middle.is_empty() && middle.iter().all(is_word) && number
    };
    host.split('.').find(is_region).filter(|_| is_of_aws)
}

/// The path without empty parts and dots, encoded once more than it was sent.
fn canonical_path(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let mut out = String::new();
    for part in &parts {
        out.push('/');
        out.extend(percent::encoded(part, b"-._~").map(char::from));
    }
    if path.ends_with('/') || out.is_empty() {
        out.push('/');
    }
    out
}

/// The parameters, sorted, each with a value.
fn canonical_query(endpoint: &Uri) -> String {
    let pairs = endpoint.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    let mut pairs: Vec<_> = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).collect();
    pairs.sort_unstable();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// `20150830T123600Z`
fn timestamp(now: SystemTime) -> String {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    // `Sun, 30 Aug 2015 12:36:00 GMT`
    let date = httpdate::fmt_http_date(now.max(UNIX_EPOCH));
    let (day, month, year, time) = (&date[5..7], &date[8..11], &date[12..16], &date[17..25]);
    let month = MONTHS.find(month).map_or(0, |place| place / 3 + 1);
    format!("{year}{month:02}{day}T{}Z", time.replace(':', ""))
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;

    /// The access key of AWS's examples.
    pub fn signer(token: Option<&str>) -> Signer {
        let wiped = |text: &str| Zeroizing::new(text.to_owned());
        Signer {
            id: wiped("AKIDEXAMPLE"),
            secret: wiped("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            token: token.map(wiped),
            region: "us-east-1".into(),
            service: "service",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::testing::signer;
    use super::*;

    #[test]
    fn signs_as_aws_does() {
        let suite = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/sigv4.txt"));
        let suite = suite.unwrap();
        let cases: Vec<_> = suite.trim_end().split("\n\n").skip(1).collect();
        assert_eq!(cases.len(), 25);
        for case in cases {
            let lines: Vec<_> = case.lines().collect();
            let [name, request, headers @ .., body, wanted] = lines.as_slice() else { panic!("{case}") };
            let (method, path) = request.split_once(' ').unwrap();
            let endpoint = format!("https://example.amazonaws.com{path}").parse().unwrap();
            let mut headers: Vec<_> = headers.iter().map(|line| line.split_once(':').unwrap()).collect();
            headers.sort_unstable();
            let body = body.strip_prefix("body ").unwrap();
            let made =
                signer(None).authorization(method, &endpoint, &headers, body.as_bytes(), "20150830T123600Z");
            assert_eq!(made.as_str(), *wanted, "{name}");
        }
    }

    #[test]
    fn a_token_is_signed_and_sent() {
        let endpoint =
            "https://runtime.sagemaker.us-east-1.amazonaws.com/endpoints/e/invocations".parse().unwrap();
        let now = UNIX_EPOCH + Duration::from_secs(1_440_938_160);
        let names = |token| {
            let made = signer(token).sign(&endpoint, "application/json", b"{}", now);
            let signed =
                made[0].1.split("SignedHeaders=").nth(1).unwrap().split(',').next().unwrap().to_owned();
            (signed, made.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" "))
        };
        let plain = ("content-type;host;x-amz-date".into(), "authorization x-amz-date".into());
        assert_eq!(names(None), plain);
        let both = (plain.0 + ";x-amz-security-token", plain.1 + " x-amz-security-token");
        assert_eq!(names(Some("t")), both);
    }

    #[test]
    fn the_time_is_written_as_aws_reads_it() {
        for (seconds, text) in [
            (0, "19700101T000000Z"),
            (951_782_400, "20000229T000000Z"),
            (1_440_938_160, "20150830T123600Z"),
            (1_798_761_599, "20261231T235959Z"),
            (4_107_542_400, "21000301T000000Z"),
        ] {
            assert_eq!(timestamp(UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn the_host_is_signed_as_it_is_sent() {
        for (url, host) in [
            ("https://h.example/", "h.example"),
            ("https://h.example:443/", "h.example"),
            ("https://h.example:80/", "h.example:80"),
            ("http://127.0.0.1:80/", "127.0.0.1"),
            ("http://127.0.0.1:443/", "127.0.0.1:443"),
            ("http://[::1]:8080/", "[::1]:8080"),
        ] {
            assert_eq!(host_header(&url.parse().unwrap()), host, "{url}");
        }
    }

    #[test]
    fn a_host_names_its_region() {
        for (host, region) in [
            ("bedrock-runtime.us-east-1.amazonaws.com", Some("us-east-1")),
            ("bedrock-runtime-fips.us-gov-west-1.amazonaws.com", Some("us-gov-west-1")),
            ("vpce-0a-1.bedrock-runtime.eu-central-1.vpce.amazonaws.com", Some("eu-central-1")),
            ("runtime.sagemaker.cn-north-1.amazonaws.com.cn", Some("cn-north-1")),
            ("127.0.0.1", None),
            ("localhost", None),
            ("us-east-1.example", None),
            ("a-1.amazonaws.com", None),
            ("us--1.amazonaws.com", None),
        ] {
            assert_eq!(region_in(host), region, "{host}");
        }
    }
}
