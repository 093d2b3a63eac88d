//! A format that panics, to prove in real hosts that a panic becomes an SQL error. Feature `rigged` only.

use super::openai::PATHS;
use super::{Ask, BASE, Model, Provider, Spec};

static SPEC: Spec = Spec {
    name: "panic",
    url: "http://127.0.0.1:9/v1/embeddings",
    paths: PATHS,
    model: Model::IF_NAMED,
    ..BASE
};

pub(super) struct Rigged;

impl Provider for Rigged {
    fn spec(&self) -> &Spec {
        &SPEC
    }

    fn at(&'static self, _: &str) -> &'static dyn Provider {
        self
    }

    /// Registering the model `now` panics too, inside the callbacks of the clients table.
    fn accepts(&self, ask: &Ask<'_>) -> Result<(), String> {
        assert_ne!(ask.model, Some("now"), "rigged");
        Ok(())
    }

    /// All but the request that cache keys are made of.
    fn request(&self, _: &Ask<'_>, texts: &[&str]) -> Result<Vec<u8>, String> {
        assert_eq!(texts, [""], "rigged");
        Ok(Vec::new())
    }
}
