use super::*;
use crate::sql::table::Constraint;
use std::borrow::Cow;

/// A value as an engine would pass it.
enum V {
    Null,
    Int(i64),
    Real(f64),
    Text(&'static str),
    List(Vec<Bound>),
}

impl Value for V {
    fn kind(&self) -> Kind {
        match self {
            V::Int(_) => Kind::Integer,
            V::Real(_) => Kind::Real,
            V::Text(_) => Kind::Text,
            V::Null | V::List(_) => Kind::Null,
        }
    }

    fn int(&self) -> i64 {
        if let V::Int(n) = self { *n } else { 0 }
    }

    fn real(&self) -> f64 {
        if let V::Real(x) = self { *x } else { 0.0 }
    }

    fn text_bytes(&self) -> Option<Cow<'_, [u8]>> {
        Some(match self {
            V::Int(n) => n.to_string().into_bytes().into(),
            V::Real(x) => x.to_string().into_bytes().into(),
            V::Text(text) => text.as_bytes().into(),
            V::Null | V::List(_) => return None,
        })
    }
}

fn of(column: usize, operator: Operator) -> Constraint {
    Constraint { column: Some(column), operator, binary: true, usable: true, values: Values::One }
}

fn ask(constraints: Vec<Constraint>) -> Query {
    Query { constraints, columns: 0, order: vec![Order { column: Some(column::SCORE), descending: true }] }
}

/// What the arguments of a plan for these constraints ask for.
fn read(given: Vec<(Constraint, V)>) -> Result<Asked> {
    let (constraints, mut values): (Vec<_>, Vec<_>) = given.into_iter().unzip();
    let plan = plan(&ask(constraints)).unwrap();
    let mut argument = |at: usize| std::mem::replace(&mut values[at], V::Null);
    let arguments: Vec<V> = plan.arguments.iter().map(|given| argument(given.constraint)).collect();
    Asked::read(plan.number, &arguments, |value, each| {
        let V::List(bounds) = value else { return Err("no list".into()) };
        bounds.iter().for_each(|bound| each(*bound));
        Ok(())
    })
}

fn rowid(operator: Operator, value: V) -> (i64, i64, bool) {
    let asked = read(vec![(of(column::ROWID, operator), value)]).unwrap();
    (asked.rows.from, asked.rows.to, asked.is_empty)
}

#[test]
fn a_rowid_makes_no_plan_cheaper_than_a_full_scan() {
    let full = plan(&ask(vec![of(column::QUERY, Operator::Equals)])).unwrap();
    for operator in [Operator::Equals, Operator::Less, Operator::GreaterOrEquals] {
        let query = ask(vec![of(column::QUERY, Operator::Equals), of(column::ROWID, operator)]);
        let restricted = plan(&query).unwrap();
        assert!(restricted.cost >= full.cost && restricted.rows >= full.rows && !restricted.unique);
        assert_eq!(restricted.arguments.len(), 2);
        // SQL compares with more than integers: it looks again.
        assert!(!restricted.arguments[1].exact);
    }
}

#[test]
fn an_argument_of_a_later_table_makes_no_plan_and_a_rowid_of_one_is_left() {
    let late = |column| Constraint { usable: false, ..of(column, Operator::Equals) };
    for column in [column::QUERY, column::K, column::MODE, column::PER_CHUNK] {
        assert!(plan(&ask(vec![late(column)])).is_none());
    }
    let left = plan(&ask(vec![of(column::QUERY, Operator::Equals), late(column::ROWID)])).unwrap();
    assert_eq!(left.arguments.len(), 1);
}

#[test]
fn is_asks_as_equals_does_and_null_asks_nothing() {
    let is = |column, value| read(vec![(of(column, Operator::Is), value)]).unwrap();
    assert_eq!(is(column::QUERY, V::Text("a")).question.as_deref(), Some("a"));
    let nothing = is(column::QUERY, V::Null);
    assert!(nothing.question.is_none() && !nothing.is_empty);
    assert!(read(vec![(of(column::QUERY, Operator::Equals), V::Null)]).unwrap().is_empty);
    assert_eq!(is(column::K, V::Int(3)).k, Some(3));
    // A rowid is the engine's to compare.
    assert!(plan(&ask(vec![of(column::ROWID, Operator::Is)])).unwrap().arguments.is_empty());
}

#[test]
fn a_scan_without_a_question_is_dear_where_one_is_compared_but_for_its_rows() {
    let asked = |constraints| plan(&Query { columns: 1 << column::QUERY, ..ask(constraints) }).unwrap().cost;
    assert!(asked(vec![]) > 1e3 * asked(vec![of(column::ROWID, Operator::Equals)]));
}

#[test]
fn a_list_is_taken_whole_or_not_at_all() {
    let rows = |values| Constraint { values, ..of(column::ROWID, Operator::Equals) };
    let whole = plan(&ask(vec![rows(Values::List)])).unwrap();
    assert!(whole.arguments[0].whole);
    assert!(plan(&ask(vec![rows(Values::Unknown)])).unwrap().arguments.is_empty());
    assert!(!plan(&ask(vec![rows(Values::One)])).unwrap().arguments[0].whole);
    let list = vec![Bound::Between(3, 3), Bound::Between(1, 2), Bound::Null, Bound::Between(-1, -1)];
    let asked = read(vec![(rows(Values::List), V::List(list))]).unwrap();
    assert_eq!(asked.rows.among, Some(vec![-1, 3]));
    assert!(read(vec![(rows(Values::List), V::List(vec![]))]).unwrap().is_empty);
}

#[test]
fn rows_come_best_first_where_there_is_a_question() {
    let query = |constraints, order| plan(&Query { constraints, columns: 0, order }).unwrap();
    let asked = || vec![of(column::QUERY, Operator::Equals)];
    let by = |column, descending| vec![Order { column: Some(column), descending }];
    assert!(query(asked(), by(column::SCORE, true)).ordered);
    assert!(!query(asked(), by(column::SCORE, false)).ordered);
    assert!(!query(asked(), by(column::DISTANCE, true)).ordered);
    assert!(!query(asked(), [by(column::SCORE, true), by(column::SEQ, true)].concat()).ordered);
    assert!(!query(vec![], by(column::SCORE, true)).ordered);
}

#[test]
fn arguments_are_read_whatever_their_order() {
    let no_column = |operator| Constraint { column: None, ..of(0, operator) };
    let asked = read(vec![
        (of(column::PER_CHUNK, Operator::Equals), V::Int(1)),
        (no_column(Operator::Offset), V::Int(5)),
        (no_column(Operator::Limit), V::Int(10)),
        (of(column::ROWID, Operator::LessOrEquals), V::Int(9)),
        (of(column::MODE, Operator::Equals), V::Text("Words")),
        (of(column::SEQ, Operator::Equals), V::Int(0)),
        (of(column::QUERY, Operator::Equals), V::Text("a\0b")),
        // The second is the engine's to compare.
        (of(column::QUERY, Operator::Equals), V::Text("c")),
        (of(column::K, Operator::Equals), V::Text(" 7 ")),
    ])
    .unwrap();
    assert_eq!(asked.question.as_deref(), Some("ab"));
    assert_eq!((asked.k, asked.mode, asked.per_chunk, asked.limit), (Some(7), Mode::Words, true, Some(15)));
    assert_eq!((asked.rows.from, asked.rows.to, asked.hint()), (i64::MIN, 9, Some(7)));
    let nothing = read(vec![]).unwrap();
    assert_eq!((nothing.question, nothing.k, nothing.mode), (None, None, Mode::Hybrid));
    let limit = read(vec![(no_column(Operator::Limit), V::Int(-1))]).unwrap();
    assert_eq!(limit.hint(), None);
}

#[test]
fn rowids_are_compared_as_in_sql() {
    use Operator::{Equals, Greater, GreaterOrEquals, Less, LessOrEquals};
    const LOWEST: i64 = i64::MIN;
    const HIGHEST: i64 = i64::MAX;
    for (operator, value, expected) in [
        (Equals, V::Int(5), (5, 5, false)),
        (Greater, V::Int(5), (6, HIGHEST, false)),
        (GreaterOrEquals, V::Int(5), (5, HIGHEST, false)),
        (Less, V::Int(5), (LOWEST, 4, false)),
        (LessOrEquals, V::Int(5), (LOWEST, 5, false)),
        (Greater, V::Real(2.5), (3, HIGHEST, false)),
        (GreaterOrEquals, V::Real(2.5), (3, HIGHEST, false)),
        (Less, V::Real(2.5), (LOWEST, 2, false)),
        (LessOrEquals, V::Real(2.5), (LOWEST, 2, false)),
        (Equals, V::Real(2.0), (2, 2, false)),
        (Equals, V::Real(2.5), (3, 2, true)),
        (Greater, V::Int(HIGHEST), (LOWEST, HIGHEST, true)),
        (Less, V::Int(LOWEST), (LOWEST, HIGHEST, true)),
        (Less, V::Null, (LOWEST, HIGHEST, true)),
        (Less, V::Text("a"), (LOWEST, HIGHEST, false)),
        (Less, V::Real(1e300), (LOWEST, HIGHEST, false)),
    ] {
        assert_eq!(rowid(operator, value), expected, "{operator:?}");
    }
}

#[test]
fn each_error_says_what_to_do() {
    for (column, value, part) in [
        (column::K, V::Int(-1), "k is -1: it must be a whole number of rows, 0 or more"),
        (column::K, V::Text("x"), "k is 'x'"),
        (column::K, V::Real(1.5), "k is 1.5"),
        (column::K, V::Real(1e300), "k is 1"),
        (column::K, V::Real(-1.0), "k is -1"),
        (column::PER_CHUNK, V::Text("yes"), "per_chunk is 'yes': it must be 0 or 1"),
        (column::MODE, V::Text("vektor"), "Did you mean 'vector'? It must be one of: hybrid, vector, words"),
    ] {
        let e = read(vec![(of(column, Operator::Equals), value)]).unwrap_err().to_string();
        assert!(e.contains(part), "{e}");
    }
}

#[test]
fn an_empty_question_has_no_rows() {
    for text in [V::Text(""), V::Text(" \0\n"), V::Null] {
        let asked = read(vec![(of(column::QUERY, Operator::Equals), text)]).unwrap();
        assert!(asked.is_empty && asked.question.is_some());
    }
    assert!(read(vec![(of(column::K, Operator::Equals), V::Int(0))]).unwrap().is_empty);
    assert_eq!(read(vec![(of(column::QUERY, Operator::Equals), V::Int(7))]).unwrap().question.unwrap(), "7");
}
