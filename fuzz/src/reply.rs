//! What a reply says, read the simple way: from a tree.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use sqlite_rembed::provider::{NO_INDEX, Reply};

use crate::json::Json;

/// A reply as it is read.
#[derive(Default)]
struct Rows {
    /// The numbers of each row; none of a null.
    rows: Vec<Option<Vec<f32>>>,
    index: Vec<u64>,
    tokens: Option<u64>,
}

impl Rows {
    /// The rows of the width that most have, of equally many that of the first or else the largest.
    fn finish(self) -> Reply {
        let widths: Vec<usize> = self.rows.iter().flatten().map(Vec::len).collect();
        let count = |width: usize| widths.iter().filter(|other| **other == width).count();
        let first = widths.first().copied().unwrap_or_default();
        let width = widths.iter().copied().max_by_key(|w| (count(*w), *w == first, *w)).unwrap_or(first);
        let mut reply = Reply {
            width,
            rows: self.rows.len(),
            index: self.index,
            tokens: self.tokens,
            ..Reply::default()
        };
        for (at, row) in (0..).zip(self.rows) {
            match row {
                None => reply.nulls.push(at),
                Some(row) if row.len() == width => reply.data.extend(row),
                Some(row) => reply.others.push((at, row.len())),
            }
        }
        reply
    }
}

/// The reply that `json` is; `None` if it is none.
pub fn read(json: &Json) -> Option<Reply> {
    let mut reply = Rows::default();
    match json {
        Json::Array(items) => list(items, &mut reply)?,
        Json::Object(fields) => {
            let mut found = 0;
            for (key, value) in fields {
                match key.as_str() {
                    "data" | "embeddings" => {
                        found += 1;
                        match value {
                            Json::Array(items) => list(items, &mut reply)?,
                            Json::Object(types) => match by_type(types)? {
                                Json::Array(items) => list(items, &mut reply)?,
                                _ => return None,
                            },
                            _ => return None,
                        }
                    }
                    "embedding" => {
                        found += 1;
                        row(value, &mut reply)?;
                    }
                    "usage" | "meta" | "prompt_eval_count" | "tokens_used" | "inputTextTokenCount" => {
                        reply.tokens = tokens(value).or(reply.tokens);
                    }
                    _ => {}
                }
            }
            (found == 1).then_some(())?;
        }
        _ => return None,
    }
    if reply.index.iter().all(|at| *at == NO_INDEX) {
        reply.index.clear();
    }
    Some(reply.finish())
}

/// The same, where the vectors stand at `place`: a JSON pointer in which `*` is each item of a list.
pub fn read_at(json: &Json, place: &str) -> Option<Reply> {
    let mut reply = Rows::default();
    if let Json::Object(fields) = json {
        let top = place[1..].split('/').next();
        for (key, value) in fields.iter().filter(|(key, _)| Some(key.as_str()) != top) {
            if let "usage" | "meta" | "input_token_count" | "inputTextTokenCount" = key.as_str() {
                reply.tokens = tokens(value).or(reply.tokens);
            }
        }
    }
    for value in places(json, place)? {
        row(value, &mut reply)?;
    }
    Some(reply.finish())
}

/// The same, of the Open Inference Protocol: one output, whose shape says what its numbers are.
pub fn read_tensor(json: &Json) -> Option<Reply> {
    let mut rows = Rows::default();
    let Json::Object(fields) = json else { return None };
    let lists = fields.iter().filter(|(key, _)| key == "outputs").map(|(_, value)| value);
    let outputs: Vec<_> = lists
        .filter_map(|value| if let Json::Array(items) = value { Some(items) } else { None })
        .flatten()
        .collect();
    let [Json::Object(output)] = &outputs[..] else { return None };
    let only = |name: &str| {
        let mut values = output.iter().filter(|(key, _)| key == name).map(|(_, value)| value);
        values.next().filter(|_| values.next().is_none())
    };
    let (Json::Array(shape), Json::Array(data), Json::String(kind)) =
        (only("shape")?, only("data")?, only("datatype")?)
    else {
        return None;
    };
    ["FP16", "BF16", "FP32", "FP64"].contains(&kind.as_str()).then_some(())?;
    match &data[..] {
        [Json::Array(_), ..] => {
            for item in data {
                matches!(item, Json::Array(_)).then_some(())?;
                row(item, &mut rows)?;
            }
        }
        _ => row(&Json::Array(data.clone()), &mut rows)?,
    }
    let mut reply = rows.finish();
    reply.others.is_empty().then_some(())?;
    let shape: Vec<u64> = shape.iter().map(Json::whole).collect::<Option<_>>()?;
    let [texts, width] = shape[..] else { return None };
    let numbers = (reply.rows * reply.width) as u64;
    let fits = (reply.rows == 1 && texts.checked_mul(width) == Some(numbers))
        || (reply.rows as u64, reply.width as u64) == (texts, width);
    (fits && texts > 0 && width > 0).then_some(())?;
    (reply.rows, reply.width) = (texts as usize, width as usize);
    Some(reply)
}

fn places<'a>(json: &'a Json, place: &str) -> Option<Vec<&'a Json>> {
    let Some(place) = place.strip_prefix('/') else { return Some(vec![json]) };
    let (name, rest) = place.split_at(place.find('/').unwrap_or(place.len()));
    match json {
        Json::Array(items) if name == "*" => {
            Some(items.iter().map(|item| places(item, rest)).collect::<Option<Vec<_>>>()?.concat())
        }
        Json::Array(items) => places(items.get(name.parse::<usize>().ok()?)?, rest),
        Json::Object(fields) if name != "*" => places(&fields.iter().find(|(key, _)| key == name)?.1, rest),
        _ => None,
    }
}

fn list(items: &[Json], reply: &mut Rows) -> Option<()> {
    for item in items {
        let Json::Object(fields) = item else {
            row(item, reply)?;
            continue;
        };
        let of = |wanted: &'static str| {
            fields.iter().filter(move |(key, _)| key == wanted).map(|(_, value)| value)
        };
        (of("embedding").count() == 1).then_some(())?;
        of("embedding").try_for_each(|value| row(value, reply))?;
        match of("index").last() {
            None | Some(Json::Null) => reply.index.push(NO_INDEX),
            Some(index) => reply.index.push(index.whole().unwrap_or(u64::MAX)),
        }
    }
    Some(())
}

fn by_type(types: &[(String, Json)]) -> Option<&Json> {
    types.iter().find(|(key, _)| key == "float" || key == "base64").map(|(_, value)| value)
}

fn row(value: &Json, reply: &mut Rows) -> Option<()> {
    let value = match value {
        Json::Object(types) => by_type(types)?,
        other => other,
    };
    if let Json::Null = value {
        reply.rows.push(None);
        return Some(());
    }
    let numbers = match value {
        Json::Array(items) => match &items[..] {
            [Json::Array(inner)] if inner.is_empty() => return None,
            [Json::Array(inner)] => numbers(inner)?,
            _ => numbers(items)?,
        },
        Json::String(text) => {
            let codec = if text.len() % 4 == 0 { STANDARD } else { STANDARD_NO_PAD };
            let bytes = codec.decode(text).ok()?;
            bytes.len().is_multiple_of(4).then_some(())?;
            bytes
                .chunks_exact(4)
                .map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]]))
                .collect()
        }
        _ => return None,
    };
    reply.rows.push(Some(numbers));
    Some(())
}

/// The numbers that `items` are, each the nearest f32; NaN for null and what f32 does not hold.
pub fn numbers(items: &[Json]) -> Option<Vec<f32>> {
    let number = |item: &Json| match item {
        Json::Number(text) => text.parse().ok().map(|x: f32| if x.is_finite() { x } else { f32::NAN }),
        Json::Null => Some(f32::NAN),
        _ => None,
    };
    items.iter().map(number).collect()
}

fn tokens(value: &Json) -> Option<u64> {
    let Json::Object(fields) = value else { return value.whole() };
    let mut total = None;
    let mut billed = None;
    for (key, value) in fields {
        match (key.as_str(), value) {
            ("total_tokens", value) => total = value.whole(),
            ("billed_units", Json::Object(units)) => {
                for (_, value) in units.iter().filter(|(key, _)| key == "input_tokens") {
                    billed = value.whole();
                }
            }
            _ => {}
        }
    }
    total.or(billed)
}
