//! What is shown of a client: never a key.

use super::{Client, options, policy};

impl Client {
    /// The URL as given, or the format's own, as it may be shown; `None` where nothing is sent.
    pub fn url(&self) -> Option<String> {
        match self.local {
            Some(_) => None,
            None => {
                let url = self.options.url.clone().unwrap_or_else(|| self.endpoint.to_string());
                Some(policy::shown_url(&url))
            }
        }
    }

    /// The key as it may be shown; `None` when the format's environment variable is used.
    pub(crate) fn shown_key(&self) -> Option<String> {
        self.options.key.as_ref().map(options::Key::shown)
    }

    /// The JSON of the options that have no column of their own, and of the prefixes that its model has by default. It
    /// holds no key.
    pub(crate) fn shown_options(&self) -> String {
        let mut shown = self.options.shown.clone();
        shown.extend(self.applied_prefixes().map(|(name, text)| (name.to_owned(), text.into())));
        serde_json::Value::Object(shown).to_string()
    }

    /// A column of its row in `rembed_clients`: name, format, model, url, key, options.
    #[doc(hidden)]
    pub fn column(&self, column: usize) -> Option<String> {
        match column {
            0 => Some(self.name().to_owned()),
            1 => Some(self.format().to_owned()),
            2 => Some(self.model().to_owned()),
            3 => self.url(),
            4 => self.shown_key(),
            5 => Some(self.shown_options()),
            _ => None,
        }
    }

    /// The prefixes of its model that apply, since the user has set none, by the names of the options.
    pub(crate) fn applied_prefixes(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let known = self.prefixes.into_iter();
        let (query, document) = (&self.options.query_prefix, &self.options.document_prefix);
        let (no_query, no_document) = (query.is_none(), document.is_none());
        known
            .flat_map(move |known| {
                [("query_prefix", known.query, no_query), ("document_prefix", known.document, no_document)]
            })
            .filter(|(_, text, is_unset)| *is_unset && !text.is_empty())
            .map(|(name, text, _)| (name, text))
    }
}
