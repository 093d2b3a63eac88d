//! Cloudflare Workers AI, `/ai/run/@cf/…`.
//!
//! Source: cloudflare 5.9.0 (`resources/ai`): `text`, and vectors in `result.data`. A failure may come with status 200.

use super::{BASE, Input, Model, Paths, Plain, Spec};

pub(super) static CLOUDFLARE: Plain = Plain(Spec {
    name: "cloudflare",
    url: "https://api.cloudflare.com/client/v4/accounts/{account}/ai/run/{model}",
    paths: Paths {
        bare: "/client/v4/accounts/{account}/ai/run/{model}",
        complete: &[],
        prefix: &[("/ai/run", "/{model}"), ("/ai", "/run/{model}")],
        other: None,
    },
    key_env: &["CLOUDFLARE_API_TOKEN"],
    model: Model::IN_URL,
    batch_size: 50,
    input: Input::List("text"),
    output: Some("/result/data/*"),
    source: "cloudflare 5.9.0",
    ..BASE
});

#[cfg(test)]
mod tests {
    use super::super::testing::{completed, plain, request};
    use super::super::{Ask, Provider};
    use super::*;
    use serde_json::json;

    #[test]
    fn sends_text_and_reads_result_data() {
        assert_eq!(request(&CLOUDFLARE, plain(), &["a", "b"]), json!({"text": ["a", "b"]}));
        let reply = br#"{"result":{"shape":[2,2],"data":[[0.5,0.25],[1,2]]},"success":true,"errors":[],"messages":[]}"#;
        let reply = CLOUDFLARE.reply(reply, &|| true).unwrap();
        assert_eq!((reply.data.as_slice(), reply.rows), (&[0.5, 0.25, 1.0, 2.0][..], 2));
        let failed = br#"{"result":null,"success":false,"errors":[{"code":7009,"message":"no such model"}]}"#;
        assert_eq!(CLOUDFLARE.reply(failed, &|| true).unwrap_err().message, "no such model");
        assert!(CLOUDFLARE.accepts(&Ask { truncate: Some(true), ..plain() }).is_err());
    }

    #[test]
    fn the_account_is_in_the_url() {
        let run = "https://h/client/v4/accounts/1/ai/run";
        assert_eq!(completed("cloudflare", run), format!("{run}/m"));
        assert_eq!(completed("cloudflare", &format!("{run}/@cf/x/y")), format!("{run}/@cf/x/y"));
        let e =
            super::super::endpoint(Some("https://api.cloudflare.com"), CLOUDFLARE.spec(), "m").unwrap_err();
        assert!(e.contains("accounts/{account}/ai/run"), "{e}");
        let e = super::super::endpoint(None, CLOUDFLARE.spec(), "m").unwrap_err();
        assert!(e.contains("give the option url"), "{e}");
    }
}
