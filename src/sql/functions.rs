//! The scalar functions, for every engine: each is a name, its numbers of arguments, and what it does to a session.

use std::borrow::Cow;
use std::ffi::CStr;

use serde_json::{Map, Value as Json};
use zeroize::Zeroizing;

use crate::base::error::Error;
use crate::base::words::quoted;
use crate::client::options;
use crate::index::config::Config;
use crate::index::script::script;
use crate::sql::chunks;
use crate::sql::session::{Session, VERSION};
use crate::sql::value::{Kind, Output, Value};

/// A scalar function, for an engine whose arguments are `V`.
pub struct Function<V: 'static> {
    /// Its name in SQL.
    pub name: &'static CStr,
    /// The numbers of arguments it takes; -1 alone is any.
    pub args: &'static [i32],
    /// Who may call it.
    pub callers: Callers,
    /// Whether its result depends on the arguments alone: an engine may run a constant call once a statement.
    pub deterministic: bool,
    /// Whether its BLOB is a vector, which an engine may mark as one.
    pub gives_vector: bool,
    /// What it does: session and arguments in, a result or an error out.
    pub call: fn(&Session, &[V]) -> Result<Output, Error>,
}

/// Who may call a function or use a table, where the engine can tell (SQLite, libSQL).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Callers {
    /// Every statement, and the schema of a database file too: its triggers, views, defaults, generated columns.
    Anyone,
    /// The application's own statements alone: a hostile file must not redirect where text is sent, nor read or change
    /// what is the application's.
    Application,
}

impl<V: Value + 'static> Function<V> {
    /// Every function there is.
    ///
    /// A database file may call three of them (and use the tables that do no more). The first is `rembed()`: triggers that embed what is inserted work,
    /// unless `trusted_schema=OFF` keeps them from it, since it is not marked as harmless (INNOCUOUS) either. The others are
    /// `rembed_chunks_json()` and `rembed_version()`, which tell nothing of the user. The rest change or tell what is the application's:
    /// clients, traffic, errors with pieces of texts, the build. A file must not lock its host either.
    ///
    /// `rembed_version` is the last. Functions are registered in this order, so a connection that has it has all of them.
    pub const ALL: &'static [Function<V>] = &[
        Function {
            callers: Callers::Anyone,
            deterministic: true,
            gives_vector: true,
            ..Function::new(c"rembed", &[2, 3], rembed)
        },
        Function::new(c"rembed_register", &[-1], rembed_register),
        Function::new(c"rembed_unregister", &[1], rembed_unregister),
        Function::new(c"rembed_client_options", &[-1], rembed_client_options),
        Function::new(c"rembed_debug", &[0], rembed_debug),
        Function::new(c"rembed_prefetch", &[2, 3], rembed_prefetch),
        Function::new(c"rembed_tokens", &[2], rembed_tokens),
        Function::new(c"rembed_stats", &[0], rembed_stats),
        Function::new(c"rembed_cache_clear", &[0, 1], rembed_cache_clear),
        Function {
            callers: Callers::Anyone,
            deterministic: true,
            ..Function::new(c"rembed_chunks_json", &[1, 2, 3], rembed_chunks_json)
        },
        Function { deterministic: true, ..Function::new(c"rembed_index_sql", &[-1], rembed_index_sql) },
        Function::new(c"rembed_lock", &[0], rembed_lock),
        Function::new(c"rembed_last_error", &[0], rembed_last_error),
        Function {
            callers: Callers::Anyone,
            deterministic: true,
            ..Function::new(c"rembed_version", &[0], rembed_version)
        },
    ];

    /// A function for the application alone, whose result may be another one each time.
    pub const fn new(
        name: &'static CStr,
        args: &'static [i32],
        call: fn(&Session, &[V]) -> Result<Output, Error>,
    ) -> Function<V> {
        Function {
            name,
            args,
            callers: Callers::Application,
            deterministic: false,
            gives_vector: false,
            call,
        }
    }

    /// Calls it. An error, a panic's included, is kept for `rembed_last_error()`.
    ///
    /// # Errors
    /// What the function says; a number of arguments that it does not take.
    pub fn run(&self, session: &Session, args: &[V]) -> Result<Output, Error> {
        let result = crate::base::guard::guard(|| {
            // Not every engine counts them.
            let taken = self.args.iter().any(|n| *n < 0 || usize::try_from(*n) == Ok(args.len()));
            if !taken {
                let name = self.name.to_string_lossy();
                return Err(Error::invalid(format!("wrong number of arguments to function {name}()")));
            }
            (self.call)(session, args)
        });
        let result = result.unwrap_or_else(|panic| Err(Error::Invalid(panic)));
        if let Err(e) = &result {
            if !matches!(e, Error::Interrupted) {
                session.note_error(&e.to_string());
            }
        }
        result
    }
}

fn rembed<V: Value>(session: &Session, args: &[V]) -> Result<Output, Error> {
    let asked = Arguments::read(session, &args[0], &args[1], "text", args.get(2))?;
    match &asked.input {
        Some(text) => {
            let vector = session.embed_one_as(&asked.client, text, asked.input_type());
            let (vector, encoding) = vector.map_err(|e| asked.explain(session, "rembed", e))?;
            Ok(Output::Vector(vector, encoding))
        }
        None => Ok(Output::Null),
    }
}

fn rembed_prefetch<V: Value>(session: &Session, args: &[V]) -> Result<Output, Error> {
    let asked = Arguments::read(session, &args[0], &args[1], "the list of texts", args.get(2))?;
    match &asked.input {
        Some(json) => {
            let ready = session.prefetch(&asked.client, json, asked.input_type());
            let ready = ready.map_err(|e| asked.explain(session, "rembed_prefetch", e))?;
            Ok(Output::Int(ready as i64))
        }
        None => Ok(Output::Null),
    }
}

fn rembed_tokens<V: Value>(session: &Session, args: &[V]) -> Result<Output, Error> {
    let asked = Arguments::read(session, &args[0], &args[1], "text", None)?;
    // An unknown client is an error with NULL too, as it is for rembed().
    let call = session.call(&asked.client, None);
    let call = call.map_err(|e| asked.explain(session, "rembed_tokens", e))?;
    let count = asked.input.map(|text| call.count_tokens(&text)).transpose()?;
    Ok(count.map_or(Output::Null, |count| Output::Int(count as i64)))
}

fn rembed_stats<V: Value>(session: &Session, _: &[V]) -> Result<Output, Error> {
    Ok(Output::Text(session.stats()?.into()))
}

fn rembed_cache_clear<V: Value>(session: &Session, args: &[V]) -> Result<Output, Error> {
    let what = args.first().map(|what| required(what, "what to clear")).transpose()?;
    Ok(Output::Int(session.cache_clear(what.as_deref())? as i64))
}

fn rembed_chunks_json<V: Value>(_: &Session, args: &[V]) -> Result<Output, Error> {
    chunks::chunks_json(args)
}

fn rembed_index_sql<V: Value>(_: &Session, args: &[V]) -> Result<Output, Error> {
    let usage = "rembed_index_sql wants a name and options, as in rembed_index_sql('docs_index', 'client', 'local', \
                 'content', 'docs', 'content_rowid', 'id', 'columns', 'title, body')";
    let [index, pairs @ ..] = args else {
        return Err(Error::invalid(usage));
    };
    if pairs.is_empty() || pairs.len() % 2 != 0 {
        return Err(Error::invalid(usage));
    }
    let index = required(index, "the index's name")?;
    let pairs = pairs.chunks_exact(2).map(|pair| {
        let name = required(&pair[0], "an option's name")?;
        let value = match pair[1].kind() {
            Kind::Integer => Cow::from(pair[1].int().to_string()),
            _ => required(&pair[1], &format!("the option {}", quoted(&name)))?,
        };
        Ok((name, value))
    });
    let pairs = pairs.collect::<Result<Vec<_>, Error>>()?;
    let config = Config::of(pairs.iter().map(|(name, value)| (&**name, &**value)))?;
    Ok(Output::Text(script(&index, &config)?.into()))
}

fn rembed_lock<V: Value>(session: &Session, _: &[V]) -> Result<Output, Error> {
    session.lock();
    Ok(Output::Int(1))
}

fn rembed_register<V: Value>(session: &Session, args: &[V]) -> Result<Output, Error> {
    let usage = "rembed_register wants a name and options: rembed_register('name', 'format', 'openai', …) or \
                 rembed_register('name', '{\"format\":\"openai\"}')";
    let [name, rest @ ..] = args else {
        return Err(Error::invalid(usage));
    };
    let name = required(name, "the client's name")?;
    let document = match rest {
        [] => return Err(Error::invalid(usage)),
        [document] => {
            let document = required(document, "options")?;
            if options::OPTIONS.contains(&&*document) {
                return Err(no_value(&document));
            }
            options::document(&document)?
        }
        pairs => pairs_document(pairs)?,
    };
    session.register(&name, document)?;
    Ok(Output::Text(name.into_owned().into()))
}

fn rembed_unregister<V: Value>(session: &Session, args: &[V]) -> Result<Output, Error> {
    let name = required(&args[0], "the client's name")?;
    Ok(Output::Int(session.unregister(&name)?.into()))
}

fn rembed_client_options<V: Value>(_: &Session, args: &[V]) -> Result<Output, Error> {
    let mut document = Json::Object(pairs_document(args)?);
    let text = document.to_string();
    options::wipe(&mut document);
    Ok(Output::Private(Zeroizing::new(text)))
}

fn rembed_version<V: Value>(_: &Session, _: &[V]) -> Result<Output, Error> {
    Ok(Output::Text(VERSION.into()))
}

fn rembed_debug<V: Value>(session: &Session, _: &[V]) -> Result<Output, Error> {
    Ok(Output::Text(session.debug().into()))
}

fn rembed_last_error<V: Value>(session: &Session, _: &[V]) -> Result<Output, Error> {
    Ok(session.last_error().map_or(Output::Null, |text| Output::Text(text.into())))
}

/// The arguments of whatever embeds: a client, what to embed, and perhaps an input type.
#[derive(Debug)]
pub struct Arguments<'a> {
    /// The client's name.
    pub client: Cow<'a, str>,
    /// What to embed; `None` for NULL.
    pub input: Option<Cow<'a, str>>,
    input_type: Option<Cow<'a, str>>,
}

impl<'a> Arguments<'a> {
    /// Reads the arguments; `what` names the input in an error.
    ///
    /// # Errors
    /// A client that is NULL, a BLOB, text that is not UTF-8.
    pub fn read<V: Value>(
        session: &Session,
        client: &'a V,
        input: &'a V,
        what: &str,
        input_type: Option<&'a V>,
    ) -> Result<Arguments<'a>, Error> {
        let client = required(client, "the client's name")?;
        let bad_input = |why: String| session.bad_input(&client, &why);
        let input_type = match input_type {
            Some(word) => word.text("input_type").map_err(bad_input)?,
            None => None,
        };
        let input = input.text(what).map_err(bad_input)?;
        Ok(Arguments { client, input, input_type })
    }

    /// The error of a call of `function` with these arguments. They are easily swapped: says so, where the input is the name
    /// of a client.
    pub fn explain(&self, session: &Session, function: &str, error: Error) -> Error {
        let is_client = |name: &str| session.row_named(name).is_ok_and(|row| row.is_some());
        match &self.input {
            Some(input) if !is_client(&self.client) && is_client(input) => {
                let unknown = session.client(&self.client).err().unwrap_or(error);
                Error::invalid(format!("{unknown} (the client comes first: {function}('{input}', …))"))
            }
            _ => error,
        }
    }

    /// The input type, where one is given.
    pub fn input_type(&self) -> Option<&str> {
        self.input_type.as_deref()
    }
}

/// Name/value arguments as a document of options.
fn pairs_document<V: Value>(args: &[V]) -> Result<Map<String, Json>, Error> {
    if args.len() % 2 != 0 {
        let last = args.last().and_then(|last| text(last, "an option's name").ok()).flatten();
        if let Some(name) = last.filter(|name| options::OPTIONS.contains(&&**name)) {
            return Err(no_value(&name));
        }
        return Err(Error::invalid(
            "options come as pairs of name and value, as in rembed_client_options('format', 'openai')",
        ));
    }
    let pairs = args.chunks_exact(2).map(|pair| {
        let name = required(&pair[0], "an option's name")?;
        let value = match pair[1].kind() {
            Kind::Null => Json::Null,
            Kind::Integer => pair[1].int().into(),
            Kind::Real => pair[1].real().into(),
            Kind::Text | Kind::Blob => text(&pair[1], "an option's value")?.map(Cow::into_owned).into(),
        };
        Ok((name.into_owned(), value))
    });
    options::from_pairs(pairs.collect::<Result<Vec<_>, Error>>()?)
}

fn no_value(option: &str) -> Error {
    Error::invalid(format!(
        "the option '{option}' has no value: options come as pairs, as in 'format', 'openai'"
    ))
}

fn text<'a>(value: &'a impl Value, what: &str) -> Result<Option<Cow<'a, str>>, Error> {
    value.text(what).map_err(Error::Invalid)
}

fn required<'a>(value: &'a impl Value, what: &str) -> Result<Cow<'a, str>, Error> {
    text(value, what)?.ok_or_else(|| Error::invalid(format!("{what} is NULL")))
}
