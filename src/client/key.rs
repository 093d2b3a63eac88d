//! The key of a client: which one a request is sent with, and what to say where none is.

use ureq::http::Uri;
use zeroize::Zeroizing;

use super::Client;
use super::options::Key;
use super::policy;
use super::secret::Secret;
use super::sigv4::{self, Signer};
use crate::base::host::is_loopback;
use crate::provider::{self, Auth};

/// By what a request says who sends it.
pub(crate) enum Credential<'a> {
    /// A key, which is sent.
    Token(Zeroizing<String>),
    /// An access key, by which requests are signed.
    Signer(Signer),
    /// A key, for which the server at this URL gives a token.
    Exchanged(&'a Uri, Zeroizing<String>),
}

impl Client {
    /// The key of a request, read now: the option's, or at the format's own server its environment variable.
    ///
    /// # Errors
    /// A key that is configured and cannot be read or may not travel, or none where the provider's own
    /// service needs one.
    pub(crate) fn key(&self) -> Result<Option<Credential<'_>>, String> {
        match &self.options.key {
            Some(Key::None) => Ok(None),
            Some(Key::Secret(key)) => {
                policy::check_key(&self.endpoint, self.options.allow_http)?;
                self.credential(key).map(Some)
            }
            // A header of the user's carries a key already. The environment's would be given away for nothing.
            None if self.options.headers.iter().any(|(name, _)| policy::replaces_key(name)) => Ok(None),
            None if !self.at_origin => Ok(None),
            None => {
                let is_set = |name: &&&str| std::env::var_os(name).is_some_and(|v| !v.is_empty());
                match self.key_env().iter().find(is_set) {
                    Some(name) => self.credential(&Secret::Env((*name).into())).map(Some),
                    None if is_loopback(&self.endpoint) => Ok(None),
                    None => Err(self.key_hint()),
                }
            }
        }
    }

    /// Reads the key, or the access key that it is the first variable of.
    fn credential(&self, key: &Secret) -> Result<Credential<'_>, String> {
        match self.provider.spec().auth.signs_for() {
            Some(service) if is_access_key(key) => {
                return Signer::read(service, &self.endpoint).map(Credential::Signer);
            }
            _ => {}
        }
        let key = key.read()?;
        match &self.token_url {
            // A token may be given too.
            Some(url) if !provider::is_jwt(&key) => {
                policy::check_key(url, self.options.allow_http)?;
                Ok(Credential::Exchanged(url, key))
            }
            _ => Ok(Credential::Token(key)),
        }
    }

    /// What cannot be meant by the option `key`.
    pub(super) fn check_kind_of_key(&self) -> Result<(), String> {
        match (&self.options.key, self.provider.spec().auth) {
            (Some(Key::Secret(key)), Auth::Signed(_)) if !is_access_key(key) => Err(format!(
                "the requests are signed, so the option key names the access key: 'env:{}', with which the other \
                 variables of AWS are read",
                sigv4::KEY_ID
            )),
            (Some(Key::Secret(key)), Auth::BearerOrSigned(_)) if is_secret_of_access_key(key) => {
                Err(format!(
                    "the secret of an access key is never sent: the option key names the access key, 'env:{}'",
                    sigv4::KEY_ID
                ))
            }
            _ => Ok(()),
        }
    }

    /// Whether the format's environment variable may be sent to this endpoint although the user named no key. It may if
    /// the endpoint is the format's own https server, or this machine for a format whose server runs here.
    pub(super) fn is_at_its_origin(&self) -> bool {
        // A token's server that the user names is not the format's own either.
        if self.key_env().is_empty() || self.options.token_url.is_some() {
            return false;
        }
        // A region is a name of the provider's own; any other name in braces is a customer's.
        let region = |text: &str| {
            let (before, after) = text.split_once("{region}")?;
            let host = self.endpoint.authority()?.as_str().to_ascii_lowercase();
            let host = host.strip_suffix(":443").unwrap_or(&host);
            let before = before.rsplit("://").next()?;
            let after = after.split('/').next()?;
            let region = host.strip_prefix(before)?.strip_suffix(after)?;
            let is_name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            (!region.is_empty() && region.bytes().all(is_name)).then(|| text.replace("{region}", region))
        };
        let url = self.provider.spec().url;
        let url = region(url).unwrap_or_else(|| url.to_owned());
        let host = url.split('/').nth(2).unwrap_or_default();
        if host.contains('{') {
            return false;
        }
        let Ok(own) = url.split('{').next().unwrap_or_default().parse::<Uri>() else {
            return false;
        };
        if is_loopback(&own) {
            return is_loopback(&self.endpoint);
        }
        // The texts are compared, not what a parser makes of them: it may read a strange port as the usual one.
        let authority = |uri: &Uri| {
            let text = uri.authority().map(|a| a.as_str().to_ascii_lowercase()).unwrap_or_default();
            text.strip_suffix(":443").map_or(text.clone(), str::to_owned)
        };
        let https = |uri: &Uri| uri.scheme_str() == Some("https");
        https(&own) && https(&self.endpoint) && authority(&own) == authority(&self.endpoint)
    }

    fn signs(&self) -> bool {
        self.provider.spec().auth.signs_for().is_some()
    }

    fn key_env(&self) -> &'static [&'static str] {
        self.provider.spec().key_env
    }

    /// What to do when a key is missing.
    pub(crate) fn key_hint(&self) -> String {
        match self.key_env() {
            [] => "no key was sent: give the option key ('env:NAME', 'file:PATH' or the key itself)".into(),
            [.., name] if self.signs() && self.at_origin => format!(
                "no key is configured: set the environment variables {} in this process",
                match self.key_env() {
                    [token, _] => format!("{name} and {}, or {token},", sigv4::SECRET_KEY),
                    _ => format!("{name} and {}", sigv4::SECRET_KEY),
                }
            ),
            [name, ..] if self.at_origin => format!(
                "no key is configured: set the environment variable {name} in this process, or give the \
                 option key ('env:NAME', 'file:PATH' or the key itself)"
            ),
            [name, ..] => format!(
                "no key was sent, as {name} goes by itself to the format's own server alone: name it, \
                 `key` = `env:{name}`"
            ),
        }
    }
}

/// Whether a key is one of the variables that a request is signed with.
fn is_secret_of_access_key(key: &Secret) -> bool {
    matches!(key, Secret::Env(name) if [sigv4::SECRET_KEY, sigv4::SESSION_TOKEN].contains(&name.as_str()))
}

/// Whether `key` names an access key of AWS, of which the id is the first part.
fn is_access_key(key: &Secret) -> bool {
    matches!(key, Secret::Env(name) if name == sigv4::KEY_ID)
}

#[cfg(test)]
mod tests {
    use super::super::tests::client;
    use super::Credential;
    use crate::provider;

    #[test]
    fn the_secret_of_an_access_key_is_no_key() {
        for format in ["bedrock", "sagemaker"] {
            for name in ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
                let json = format!(r#"{{"format":"{format}","url":"https://h/model","key":"env:{name}"}}"#);
                let e = client(&json).unwrap_err().to_string();
                assert!(e.contains("env:AWS_ACCESS_KEY_ID"), "{e}");
            }
        }
    }

    #[test]
    fn a_format_has_one_origin() {
        for (format, url, own) in [
            ("openai", "https://api.openai.com", true),
            ("openai", "https://API.OpenAI.com:443/v1", true),
            ("openai", "https://api.openai.com:8443", false),
            ("openai", "https://api.openai.com:99999", false),
            ("openai", "http://api.openai.com", false),
            ("openai", "https://api.openai.com.evil", false),
            ("openai", "https://evil/api.openai.com", false),
            ("openai", "https://api.cohere.com", false),
            ("openai", "http://127.0.0.1:11434", false),
            ("cohere", "https://api.cohere.com/v1/embed", true),
            ("cohere", "https://api.cohere.com/v2/embed", true),
            ("nomic", "https://api-atlas.nomic.ai", true),
            ("nomic", "https://api.openai.com", false),
            ("deepinfra", "https://api.deepinfra.com/v1/openai", true),
            ("ollama", "http://localhost:11434", true),
            ("ollama", "http://127.0.0.1:8000/v1", true),
            ("ollama", "http://[::1]:8000", true),
            ("ollama", "http://localhost.evil:11434", false),
            ("ollama", "http://192.0.2.1:11434", false),
            ("ollama", "https://ollama.example", false),
            ("llamafile", "http://localhost:8080", false),
            ("gemini", "https://generativelanguage.googleapis.com", true),
            ("gemini", "https://h", false),
            ("cloudflare", "https://api.cloudflare.com/client/v4/accounts/1/ai/run", true),
            ("bedrock", "https://bedrock-runtime.us-east-1.amazonaws.com", true),
            ("bedrock", "https://BEDROCK-runtime.us-east-1.amazonaws.com:443", true),
            ("bedrock", "http://bedrock-runtime.us-east-1.amazonaws.com", false),
            ("bedrock", "https://bedrock-runtime.us-east-1.amazonaws.com:8443", false),
            ("bedrock", "https://bedrock-runtime.evil.example.amazonaws.com", false),
            ("bedrock", "https://bedrock-runtime.us-east-1.amazonaws.com.evil", false),
            ("bedrock", "https://evil/bedrock-runtime.us-east-1.amazonaws.com", false),
            ("bedrock", "https://bedrock-runtime..amazonaws.com", false),
            ("sagemaker", "https://runtime.sagemaker.eu-west-1.amazonaws.com", true),
            ("sagemaker", "https://runtime.sagemaker.eu-west-1.amazonaws.com.cn", false),
            ("watsonx", "https://eu-de.ml.cloud.ibm.com", true),
            ("watsonx", "https://ml.cloud.ibm.com", false),
            ("azure", "https://mine.openai.azure.com", false),
            ("databricks", "https://dbc-1.cloud.databricks.com", false),
        ] {
            let options = serde_json::json!({"format": format, "url": url}).to_string();
            // A port that is none may be refused instead.
            let Ok(client) = client(&options) else { continue };
            assert_eq!(client.at_origin, own, "{format} {url}");
        }
        let presets = provider::all().filter(|p| !p.spec().key_env.is_empty() && !p.spec().needs_url());
        for format in presets.map(|p| p.spec().name) {
            assert!(client(format).unwrap().at_origin, "{format}");
        }
    }

    #[test]
    fn the_hint_names_all_that_is_missing() {
        let hint = |format: &str, host: &str| {
            client(&format!(r#"{{"format":"{format}","url":"https://{host}"}}"#)).unwrap().key_hint()
        };
        let e = hint("bedrock", "bedrock-runtime.us-east-1.amazonaws.com");
        assert!(
            e.contains("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_BEARER_TOKEN_BEDROCK,"),
            "{e}"
        );
        let e = hint("sagemaker", "runtime.sagemaker.us-east-1.amazonaws.com");
        assert!(e.contains("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in this process"), "{e}");
        assert!(hint("sagemaker", "h").contains("`key` = `env:AWS_ACCESS_KEY_ID`"));
    }

    #[test]
    fn a_key_goes_by_itself_to_no_other_server_of_tokens() {
        let json =
            |more: &str| format!(r#"{{"format":"watsonx","url":"https://eu-de.ml.cloud.ibm.com"{more}}}"#);
        assert!(client(&json("")).unwrap().at_origin);
        let other = client(&json(r#","token_url":"https://iam.evil.example""#)).unwrap();
        assert!(!other.at_origin);
        assert_eq!(other.token_url().unwrap().to_string(), "https://iam.evil.example/identity/token");
    }

    #[test]
    fn a_signature_is_by_the_access_key_alone() {
        let e =
            client(r#"{"format":"sagemaker","url":"https://h","key":"k-literal"}"#).unwrap_err().to_string();
        assert!(e.contains("env:AWS_ACCESS_KEY_ID") && !e.contains("k-literal"), "{e}");
        for json in [
            r#"{"format":"sagemaker","url":"https://h","key":"env:AWS_ACCESS_KEY_ID"}"#,
            r#"{"format":"sagemaker","url":"https://h","key":""}"#,
            r#"{"format":"bedrock","url":"https://h","key":"k-literal"}"#,
        ] {
            assert!(client(json).is_ok(), "{json}");
        }
    }

    #[test]
    fn an_empty_key_means_none() {
        let c = client(r#"{"format":"openai","key":""}"#).unwrap();
        assert!(matches!(c.key(), Ok(None)));
        let c = client(r#"{"format":"openai","url":"http://127.0.0.1:1","key":"k"}"#).unwrap();
        assert!(matches!(c.key(), Ok(Some(Credential::Token(key))) if *key == "k"));
    }
}
