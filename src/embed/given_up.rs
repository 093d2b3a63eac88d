//! Why a request was given up, and what that tells of its texts.

use crate::base::error::Error;

/// Why a request was given up.
pub enum GivenUp {
    /// Smaller parts of it may succeed; the error is that of a lone text.
    TooLarge(Error),
    /// The same, for the number of its texts.
    TooMany(Error),
    /// It was refused for what it holds; without one of its texts it may succeed.
    Refused(Error),
    /// There is no connection to the server: no other request would get one.
    Unreachable(Error),
    /// It failed for good.
    Failed(Error),
}

/// Statuses about who asks, the address or the load.
const OF_NO_TEXT: [u16; 7] = [401, 402, 404, 407, 429, 503, 529];

impl GivenUp {
    /// Whether the failure is the same whatever the texts are.
    pub fn is_of_no_text(&self) -> bool {
        match self {
            GivenUp::Unreachable(_) => true,
            GivenUp::Failed(Error::Request(e)) => e.status.is_some_and(|status| OF_NO_TEXT.contains(&status)),
            _ => false,
        }
    }

    /// Whether it is what the server said: not that it said nothing in time, nor something here.
    pub fn is_the_servers(&self) -> bool {
        !matches!(self, GivenUp::Failed(Error::Request(e)) if e.status.is_none())
    }

    /// The error of a text that cannot be helped.
    pub fn into_error(self) -> Error {
        match self {
            GivenUp::TooLarge(Error::Request(mut e)) => {
                e.message.push_str(" (split the text: embed its paragraphs or sentences one by one)");
                Error::Request(e)
            }
            GivenUp::TooLarge(e)
            | GivenUp::TooMany(e)
            | GivenUp::Refused(e)
            | GivenUp::Unreachable(e)
            | GivenUp::Failed(e) => e,
        }
    }
}
