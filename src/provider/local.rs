//! Format `local`: a model inside the process. It has no wire, so this says what a request is cut into, and no more;
//! `src/local/` computes.

use super::{Ask, BASE, Input, Model, Paths, Provider, Spec, Truncate};

static SPEC: Spec = Spec {
    name: "local",
    url: "",
    paths: Paths { bare: "", complete: &[], prefix: &[], other: None },
    key_env: &[],
    model: Model::IF_NAMED,
    // Texts of similar length are computed together, and the more there are to sort, the less is padding.
    batch_size: 128,
    batch_tokens: Some(4096),
    input: Input::List("input"),
    dimensions: None,
    truncate: Some(Truncate::Flag("truncate")),
    input_type: None,
    fixed: &[],
    source: "docs/local.md",
    ..BASE
};

pub(super) struct Local;

impl Provider for Local {
    fn spec(&self) -> &Spec {
        &SPEC
    }

    fn at(&'static self, _: &str) -> &'static dyn Provider {
        self
    }

    /// The model's own folder says what it takes.
    fn accepts(&self, _: &Ask<'_>) -> Result<(), String> {
        Ok(())
    }

    fn input_type<'a>(&self, _: Option<&'a str>) -> Result<Option<(&'static str, &'a str)>, String> {
        Ok(None)
    }
}
