//! Whether an ONNX file is whole, and how deep it nests. rten loads some files that were cut short. And its reader
//! descends on the stack: a file made to overflow the stack would end the process, which no guard can catch.

/// Messages in messages: a model is 3 deep at its nodes' attributes, and each branch of an `If` adds 3.
const DEEPEST: usize = 100;

/// The messages of onnx.proto that can hold their own kind, and what leads to them.
#[derive(Clone, Copy)]
enum Message {
    Model,
    Graph,
    Node,
    Attribute,
    Value,
    Type,
    Sequence,
    Function,
}

impl Message {
    fn field(self, number: u64) -> Option<Message> {
        match (self, number) {
            (Message::Model, 7) | (Message::Attribute, 6 | 11) => Some(Message::Graph),
            (Message::Model, 25) => Some(Message::Function),
            (Message::Graph, 1) | (Message::Function, 7) => Some(Message::Node),
            (Message::Graph, 11..=13) => Some(Message::Value),
            (Message::Node, 5) => Some(Message::Attribute),
            (Message::Value, 2) | (Message::Attribute, 14 | 15) | (Message::Sequence, 1) => {
                Some(Message::Type)
            }
            (Message::Type, 4) => Some(Message::Sequence),
            _ => None,
        }
    }
}

/// Whether the file is whole, and nests no deeper than a model does.
///
/// # Errors
/// It is not, in words for the user.
pub fn check(file: &[u8]) -> Result<(), &'static str> {
    let mut open = vec![(Message::Model, file, 0)];
    while let Some((message, mut rest, depth)) = open.pop() {
        if depth > DEEPEST {
            return Err("it nests too deep");
        }
        while !rest.is_empty() {
            let (number, content) = field(&mut rest).ok_or("it ends too early, or holds something else")?;
            if let (Some(inner), Some(content)) = (message.field(number), content) {
                open.push((inner, content, depth + 1));
            }
        }
    }
    Ok(())
}

/// The next field: its number, and its bytes where it has a length.
fn field<'a>(rest: &mut &'a [u8]) -> Option<(u64, Option<&'a [u8]>)> {
    let tag = varint(rest)?;
    let content = match tag & 7 {
        0 => varint(rest).map(|_| None)?,
        1 => take(rest, 8).map(|_| None)?,
        2 => {
            let length = usize::try_from(varint(rest)?).ok()?;
            Some(take(rest, length)?)
        }
        5 => take(rest, 4).map(|_| None)?,
        _ => return None,
    };
    Some((tag >> 3, content))
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut n = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(rest, 1)?[0];
        n |= u64::from(byte & 127) << shift;
        if byte < 128 {
            return Some(n);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::testing::{nest, onnx};

    #[test]
    fn depth_is_counted_where_messages_hold_their_own_kind() {
        assert_eq!(check(&onnx(&["input_ids"])), Ok(()));
        for (first, again) in
            [(&[7u64][..], &[1u64, 5, 6][..]), (&[7, 1, 5], &[11, 1, 5]), (&[7, 11, 2], &[4, 1])]
        {
            assert_eq!(check(&nest(first, again, 10)), Ok(()));
            assert!(check(&nest(first, again, 100)).unwrap_err().contains("deep"), "{first:?} {again:?}");
        }
        // Weights are no messages.
        assert_eq!(check(&nest(&[7, 5, 9], &[1, 5, 6], 1000)), Ok(()));
    }

    #[test]
    fn a_file_that_is_cut_anywhere_is_not_whole() {
        let whole = onnx(&["input_ids"]);
        // After its first fields it is a message that says less, and no model.
        for end in 7..whole.len() {
            assert!(check(&whole[..end]).is_err(), "{end}");
        }
    }
}
