//! Tensors of the Open Inference Protocol: an array of numbers in row-major order, flat or nested, and its shape.
//!
//! The shape comes from the server and is believed only where it says of the numbers that came how many vectors they are.

use super::{Reader, Rows, whole};
use crate::base::words::bounded;
use crate::provider::json::Error;

/// Types whose numbers are those of an embedding.
const FLOATS: [&str; 4] = ["FP16", "BF16", "FP32", "FP64"];
/// The bytes that are kept of the name of a type.
const KIND_MAX: usize = 40;
/// The longest shape that is read; an embedding's has two dimensions.
const DIMENSIONS_MAX: usize = 8;

/// Reads the only output of a reply.
pub(super) fn outputs(rows: &mut Rows, reader: &mut Reader<'_>) -> Result<(), Error> {
    if reader.peek() != b'{' {
        return Err(reader.unexpected("an object with 'outputs'"));
    }
    let mut found = 0;
    reader.object(|reader, key| match key {
        "outputs" if reader.peek() == b'[' => reader.array(|reader| {
            found += 1;
            match found {
                1 => output(rows, reader),
                _ => Err(reader.shape(
                    "it has more than one output: name the one of the embeddings by the option body, as in \
                     {\"outputs\": [{\"name\": \"NAME\"}]}",
                )),
            }
        }),
        _ => reader.skip(),
    })?;
    match found {
        0 => Err(reader.shape("'outputs' is not there, or has nothing in it")),
        _ => Ok(()),
    }
}

fn output(rows: &mut Rows, reader: &mut Reader<'_>) -> Result<(), Error> {
    if reader.peek() != b'{' {
        return Err(reader.unexpected("an output with 'shape' and 'data'"));
    }
    let (mut shape, mut kind, mut has_data) = (None, None, false);
    reader.object(|reader, key| match key {
        "shape" if shape.is_none() => {
            shape = Some(read_shape(reader)?);
            Ok(())
        }
        "datatype" if kind.is_none() => {
            kind = Some(read_kind(reader)?);
            Ok(())
        }
        "data" if !has_data => {
            has_data = true;
            data(rows, reader)
        }
        "shape" | "datatype" | "data" => Err(reader.shape(format!("an output has '{key}' twice"))),
        _ => reader.skip(),
    })?;
    if !has_data {
        return Err(reader.shape(
            "the output has no 'data': the server sends it in another form, which the option body may ask it not to \
             ({\"outputs\": [{\"name\": \"NAME\", \"parameters\": {\"binary_data\": false}}]})",
        ));
    }
    if kind.as_deref().is_none_or(|kind| !FLOATS.contains(&kind)) {
        let kind = bounded(&kind.unwrap_or_default(), 40);
        return Err(
            reader.shape(format!("the output is of type {kind}, not of one of {}", FLOATS.join(", ")))
        );
    }
    place(rows, &shape.unwrap_or_default()).map_err(|why| reader.shape(why))
}

/// Reads the numbers: flat ones are one row for now.
fn data(rows: &mut Rows, reader: &mut Reader<'_>) -> Result<(), Error> {
    if reader.peek() != b'[' {
        return Err(reader.unexpected("a list of numbers"));
    }
    match reader.rest()[1..].trim_ascii_start().first() {
        Some(b'[') => reader.array(|reader| match reader.peek() {
            b'[' => rows.vector(reader),
            _ => Err(reader.shape("a tensor mixes numbers and lists")),
        }),
        _ => rows.vector(reader),
    }
}

fn read_kind(reader: &mut Reader<'_>) -> Result<String, Error> {
    if reader.peek() != b'"' {
        return Err(reader.unexpected("the name of a type"));
    }
    let mut kind = Vec::new();
    reader.string(|part| kind.extend_from_slice(&part[..part.len().min(KIND_MAX - kind.len())]))?;
    Ok(String::from_utf8_lossy(&kind).into_owned())
}

fn read_shape(reader: &mut Reader<'_>) -> Result<Vec<u64>, Error> {
    if reader.peek() != b'[' {
        return Err(reader.unexpected("a list of whole numbers as the shape"));
    }
    let mut shape = Vec::new();
    reader.array(|reader| match whole(reader.raw()?) {
        _ if shape.len() == DIMENSIONS_MAX => Err(reader.shape("the shape has too many dimensions")),
        Some(n) => {
            shape.push(n);
            Ok(())
        }
        None => Err(reader.shape("the shape holds something that is no whole number")),
    })?;
    Ok(shape)
}

/// Cuts what was read into the vectors that the shape says.
fn place(rows: &mut Rows, shape: &[u64]) -> Result<(), String> {
    let (read, width) = (rows.reply.rows, rows.reply.width);
    let [texts, wide] = *shape else {
        return Err(match shape {
            [_, _, _, ..] => format!(
                "the shape {shape:?} is not [texts, numbers], as of one vector per token: the model must pool them"
            ),
            _ => format!("the shape {shape:?} is not [texts, numbers]"),
        });
    };
    if !rows.reply.others.is_empty() {
        return Err("the rows of a tensor are not all as wide".into());
    }
    let is_flat = read == 1 && (width as u64) == texts.saturating_mul(wide);
    let is_nested = read as u64 == texts && width as u64 == wide;
    if texts == 0 || wide == 0 || !(is_flat || is_nested) {
        return Err(format!("the shape {shape:?} is not that of the {} numbers that came", read * width));
    }
    // Both are at most the count of the numbers.
    (rows.reply.rows, rows.reply.width) = (texts as usize, wide as usize);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{Reply, read_tensor};

    fn read(output: &str) -> Result<Reply, String> {
        let body = format!(r#"{{"model_name":"m","id":"1","outputs":[{output}]}}"#);
        read_tensor(body.as_bytes(), &|| true).map_err(|failure| failure.message)
    }

    #[test]
    fn numbers_are_rows_by_their_shape_wherever_it_stands() {
        for output in [
            r#"{"name":"e","shape":[2,3],"datatype":"FP32","data":[1,2,3,4,5,6]}"#,
            r#"{"data":[1,2,3, 4,5,6],"parameters":{"shape":[9]},"datatype":"FP64","name":"e","shape":[2,3]}"#,
            r#"{"shape":[2,3],"datatype":"FP16","data":[[1,2,3],[4,5,6]]}"#,
            r#"{"shape":[2,3],"datatype":"BF16","data":[ [1,2,3] , [4,5,6]]}"#,
        ] {
            let reply = read(output).unwrap();
            assert_eq!((reply.rows, reply.width), (2, 3), "{output}");
            assert_eq!(reply.data, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        }
        let one = read(r#"{"shape":[1,2],"datatype":"FP32","data":[[1,2]]}"#).unwrap();
        assert_eq!((one.rows, one.width), (1, 2));
    }

    #[test]
    fn rows_that_are_not_as_wide_are_refused() {
        let e = read(r#"{"shape":[3,2],"datatype":"FP32","data":[[1,2],[3],[5,6]]}"#).unwrap_err();
        assert!(e.contains("not all as wide"), "{e}");
    }

    #[test]
    fn a_shape_that_lies_is_refused() {
        for shape in [
            "[]",
            "[6]",
            "[3,3]",
            "[2,2]",
            "[0,6]",
            "[6,0]",
            "[0,0]",
            "[1,2,3]",
            "[2,3,1]",
            "[-2,-3]",
            "[2,-3]",
            "[2.5,2]",
            "[4294967296,4294967296]",
            "[18446744073709551615,2]",
            "[9223372036854775808,2]",
            "[1e19,1]",
            "[1e400,1]",
            "[\"2\",3]",
            "[null,3]",
            "[[2,3]]",
            "{}",
            "null",
            "6",
            "[2,3,1,1,1,1,1,1,1]",
        ] {
            for output in [
                format!(r#"{{"shape":{shape},"datatype":"FP32","data":[1,2,3,4,5,6]}}"#),
                format!(r#"{{"datatype":"FP32","data":[1,2,3,4,5,6],"shape":{shape}}}"#),
            ] {
                let e = read(&output).unwrap_err();
                assert!(e.contains("shape"), "{output}: {e}");
            }
        }
        for nested in [
            "[[1,2],[3,4],[5,6]]",
            "[[1,2,3,4,5,6]]",
            "[[1,2,3],[4,5]]",
            "[[1,2,3],4]",
            "[[[1,2,3]],[[4,5,6],[7,8,9]]]",
        ] {
            let output = format!(r#"{{"shape":[3,3],"datatype":"FP32","data":{nested}}}"#);
            assert!(read(&output).is_err(), "{nested}");
        }
    }

    #[test]
    fn what_is_no_tensor_of_numbers_is_an_error() {
        for (output, why) in [
            ("", "'outputs' is not there"),
            ("1", "an output"),
            (r#"{"shape":[1,1],"datatype":"FP32"}"#, "no 'data'"),
            (r#"{"shape":[1,1],"datatype":"FP32","data":[]}"#, "shape [1, 1]"),
            (r#"{"shape":[0,0],"datatype":"FP32","data":[]}"#, "shape [0, 0]"),
            (r#"{"shape":[1,1],"datatype":"FP32","data":1}"#, "a list of numbers"),
            (r#"{"shape":[1,1],"datatype":"FP32","data":["AACAPw=="]}"#, "number"),
            (r#"{"shape":[1,1],"datatype":"FP32","data":[1],"data":[2]}"#, "'data' twice"),
            (r#"{"shape":[1,1],"datatype":"FP32","data":[1],"shape":[2,1]}"#, "'shape' twice"),
            (r#"{"shape":[1,1],"datatype":"INT64","data":[1]}"#, "INT64"),
            (r#"{"shape":[1,1],"data":[1]}"#, "type"),
            (r#"{"shape":[1,1],"datatype":32,"data":[1]}"#, "type"),
            (r#"{"shape":[1,1],"datatype":"FP32","data":[1]},{}"#, "more than one output"),
        ] {
            let e = read(output).unwrap_err();
            assert!(e.contains(why), "{output}: {e}");
        }
        let e = read_tensor(br#"{"error":"model not ready"}"#, &|| true).unwrap_err().message;
        assert!(e.contains("model not ready"), "{e}");
    }
}
