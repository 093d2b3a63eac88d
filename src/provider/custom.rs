//! Any JSON API: the option `body` is the request without its texts, `input` says where they go, `output` where the
//! vectors stand in the reply. Both are JSON pointers (RFC 6901) in which `*` is each item of a list.

use serde_json::Value;

use super::{Ask, BASE, Model, Provider, Spec, tree};

static SPEC: Spec =
    Spec { name: "custom", url: "https://{host}/{path}", model: Model::IN_URL, source: "RFC 6901", ..BASE };

pub(super) struct Custom;

impl Provider for Custom {
    fn spec(&self) -> &Spec {
        &SPEC
    }

    fn at(&'static self, _: &str) -> &'static dyn Provider {
        self
    }

    fn accepts(&self, ask: &Ask<'_>) -> Result<(), String> {
        for (name, place, example) in
            [("input", ask.input, "/texts"), ("output", ask.output, "/results/*/embedding")]
        {
            if !place.is_some_and(|place| place.starts_with('/')) {
                return Err(format!(
                    "format 'custom' needs the option '{name}', a JSON pointer as '{example}'"
                ));
            }
        }
        let is_list =
            |place: Option<&str>| place.is_some_and(|place| place.split('/').any(|name| name == "*"));
        if ask.batch_size > 1 && !is_list(ask.output) {
            return Err(
                "batch_size is more than 1, so the option 'output' needs a * for the list of vectors".into(),
            );
        }
        if ask.truncate.is_some() {
            return Err(
                "format 'custom' has no option 'truncate': set the server's own field by 'body'".into()
            );
        }
        self.input_type(ask.input_type).map(drop)
    }

    fn request(&self, ask: &Ask<'_>, texts: &[&str]) -> Result<Vec<u8>, String> {
        let path = ask.input.and_then(|place| place.strip_prefix('/')).unwrap_or_default();
        let mut body = Value::Object(ask.body.clone());
        let texts: Vec<Value> = texts.iter().map(|text| (*text).into()).collect();
        let as_list = ask.batch_size > 1 && !path.split('/').any(|name| name == "*");
        match as_list {
            true => tree::set(&mut body, path, &[Value::Array(texts)]),
            false => tree::set(&mut body, path, &texts),
        }
        serde_json::to_vec(&body).map_err(|e| e.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::super::read_at;
    use super::super::testing::plain;
    use super::*;
    use serde_json::json;

    fn sent(body: &Value, input: &str, batch_size: usize, texts: &[&str]) -> Value {
        let body = body.as_object().unwrap();
        let ask = Ask { input: Some(input), output: Some("/*"), batch_size, body, ..plain() };
        Custom.accepts(&ask).unwrap();
        serde_json::from_slice(&Custom.request(&ask, texts).unwrap()).unwrap()
    }

    #[test]
    fn texts_go_where_the_pointer_says() {
        let template = json!({"model": "x", "queries": [{"lang": "en"}], "q": {"k": 1}, "s": "t", "a/b": 1});
        let with = |name: &str, value: Value| {
            let mut all = template.clone();
            all[name] = value;
            all
        };
        for (input, batch, texts, name, value) in [
            ("/text", 1, &["a"][..], "text", json!("a")),
            ("/texts", 9, &["a"], "texts", json!(["a"])),
            ("/texts/*", 1, &["a"], "texts", json!(["a"])),
            ("/q/text", 9, &["a", "b"], "q", json!({"k": 1, "text": ["a", "b"]})),
            (
                "/queries/*/q",
                9,
                &["a", "b"],
                "queries",
                json!([{"lang": "en", "q": "a"}, {"lang": "en", "q": "b"}]),
            ),
            ("/s/x", 1, &["a"], "s", json!({"x": "a"})),
            ("/a~1b", 1, &["a"], "a/b", json!("a")),
            ("/n/0/t", 1, &["a"], "n", json!([{"t": "a"}])),
        ] {
            assert_eq!(sent(&template, input, batch, texts), with(name, value), "{input}");
        }
    }

    #[test]
    fn vectors_are_read_where_the_pointer_says() {
        let read = |body: &str, place: &str| read_at(body.as_bytes(), place, &|| true);
        let body =
            r#"{"x":[1],"results":[{"n":0,"embedding":[0.5,0.25]},{"embedding":[1,2]}],"a/b":{"~":[3,4]}}"#;
        let reply = read(body, "/results/*/embedding").unwrap();
        assert_eq!((reply.data.as_slice(), reply.rows), (&[0.5, 0.25, 1.0, 2.0][..], 2));
        assert_eq!(read(body, "/results/1/embedding").unwrap().data, [1.0, 2.0]);
        assert_eq!(read(body, "/a~1b/~0").unwrap().data, [3.0, 4.0]);
        assert_eq!(read("[[1,2],[3,4]]", "/*").unwrap().rows, 2);
        for (place, why) in [
            ("/results/*/vector", "nothing is there at /vector"),
            ("/nowhere", "nothing is there at /nowhere"),
            ("/results/7", "nothing is there at /7"),
            ("/x/0/y", "an object or a list expected"),
            ("/a~1b/*", "a list of embeddings expected"),
        ] {
            let e = read(body, place).unwrap_err().message;
            assert!(e.contains(why), "{place}: {e}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let ask = Ask { input: Some("/t"), output: Some("/v"), ..plain() };
        assert!(Custom.accepts(&ask).is_ok());
        for (ask, why) in [
            (Ask { input: None, ..ask }, "'input'"),
            (Ask { input: Some("t"), ..ask }, "'input'"),
            (Ask { output: None, ..ask }, "'output'"),
            (Ask { batch_size: 2, ..ask }, "needs a *"),
            (Ask { truncate: Some(true), ..ask }, "'truncate'"),
            (Ask { input_type: Some("x"), ..ask }, "no input types"),
        ] {
            let e = Custom.accepts(&ask).unwrap_err();
            assert!(e.contains(why), "{e}");
        }
        let e = super::super::find("openai").unwrap().accepts(&ask).unwrap_err();
        assert!(e.contains("format 'custom' alone"), "{e}");
    }
}
