//! The URL of a client, beside the crate `url`: a key must not go to another server than others would read in it. The
//! first byte chooses the format.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sqlite_rembed::provider;

fuzz_target!(|data: &[u8]| {
    let Some((choice, given)) = data.split_first() else { return };
    let Ok(given) = std::str::from_utf8(given) else { return };
    let formats = provider::all().count();
    let Some(format) = provider::all().nth(usize::from(*choice) % formats) else { return };
    let paths = &format.spec().paths;
    let Ok(endpoint) = provider::complete(given, paths) else { return };
    // It is an endpoint, and so its own completion.
    assert_eq!(
        provider::complete(&endpoint.to_string(), paths).map(|e| e.to_string()),
        Ok(endpoint.to_string())
    );
    let host = endpoint.host().expect("an endpoint has a host").to_ascii_lowercase();
    let scheme = endpoint.scheme_str().expect("an endpoint has a scheme");
    assert!(matches!(scheme, "http" | "https"), "{endpoint}");
    for text in [given, &endpoint.to_string()] {
        // What the reference refuses for another reason, or writes in another way (an address in numbers), is not
        // compared.
        let url = match url::Url::parse(text) {
            Ok(url) => url,
            Err(url::ParseError::InvalidPort) => panic!("{text:?} has no such port"),
            Err(_) => continue,
        };
        assert_eq!(url.scheme(), scheme, "{text:?}");
        assert_eq!((url.username(), url.password()), ("", None), "{text:?}");
        assert_eq!(url.fragment(), None, "{text:?}");
        if let Some(url::Host::Domain(domain)) = url.host() {
            assert_eq!(domain, host, "{text:?}");
        }
        let standard = if scheme == "https" { 443 } else { 80 };
        let port = endpoint.port_u16().unwrap_or(standard);
        assert_eq!(url.port_or_known_default(), Some(port), "{text:?}");
    }
});
