//! What a sync does with every row or vector, some at a time.

use super::rows::{Content, Rows};
use super::run::Sync;
use super::{Stop, after};
use crate::index::ddl::{MARKS, Mark, mark_rows};
use crate::index::name::{quote, string};
use crate::index::plan::key_of;
use crate::sqlite::index::stored::{Pass, put, setting};
use crate::sqlite::sql::{Arg, Statement};

/// Rows that are looked at in a step.
const STEP: i64 = 1000;
/// Vectors that go in a step.
const VECTORS: i64 = 200;
/// Segments that go in a step: each is large.
const SEGMENTS: i64 = 4;

/// Marks what a [`Pass`] says, and goes on where one was cut short.
///
/// # Errors
/// What SQLite says; an interrupt.
pub fn pass(sync: &mut Sync<'_>) -> Result<(), Stop> {
    let Some((pass, mut from)) = sync.stored.pass() else { return Ok(()) };
    let (db, schema, name) = (sync.stored.db, sync.stored.schema.clone(), sync.stored.name.clone());
    let id = quote(&sync.watched.rowid);
    let content = sync.stored.content(&sync.watched);
    let mut ids = Statement::prepare(
        db,
        &format!("SELECT {id} FROM {content} WHERE {id} >= ?1 ORDER BY {id} LIMIT ?2"),
    )?;
    let mut hash = Statement::prepare(
        db,
        &format!("SELECT hash FROM {} WHERE \"row\" = ?1", sync.stored.table("rows")),
    )?;
    let mut rows = Rows::new(&sync.stored, &sync.watched)?;
    let mut mark = mark_one(sync)?;
    let mut mark_slice = Statement::prepare(db, &mark_rows(&schema, &name, &sync.watched))?;
    loop {
        let slice = ids.all(&[from.into(), STEP.into()], |row| row.int(0))?;
        let Some(last) = slice.last().copied() else { break };
        let mut others = Vec::new();
        if pass == Pass::Compare {
            for row in &slice {
                let before = hash.first(&[(*row).into()], |found| found.bytes(0))?;
                match rows.read(*row)? {
                    Content::Text(text) if before.as_deref() == Some(&key_of(&text)) => {}
                    _ => others.push(*row),
                }
            }
        }
        let next = after(&sync.stored, from, last)?;
        sync.transactions.run(|_| {
            match pass {
                Pass::Compare => {
                    for row in &others {
                        mark.run(&[(*row).into(), (Mark::Hidden as i64).into()])?;
                    }
                }
                Pass::All => mark_slice.run(&[from.into(), STEP.into(), (Mark::Changed as i64).into()])?,
            }
            Ok(put(db, &schema, &name, &[(setting::PASS_FROM, next.unwrap_or(i64::MAX).into())])?)
        })?;
        let Some(next) = next else { break };
        from = next;
    }
    sweep_all(sync)?;
    sync.transactions
        .run(|_| Ok(put(db, &schema, &name, &[(setting::PASS, Arg::Null), (setting::PASS_FROM, Arg::Null)])?))
}

/// Marks what REPLACE evicted, which fires no trigger. It evicts by a unique index alone.
///
/// # Errors
/// What SQLite says; an interrupt.
pub fn sweep(sync: &mut Sync<'_>) -> Result<(), Stop> {
    let sql = format!(
        "SELECT count(*) FROM pragma_index_list({}, {}) WHERE \"unique\"",
        string(&sync.watched.content),
        string(&sync.stored.schema)
    );
    if sync.number(&sql)? > 0 { sweep_all(sync) } else { Ok(()) }
}

/// Marks the rows that the index has and the content table has not.
fn sweep_all(sync: &mut Sync<'_>) -> Result<(), Stop> {
    let sql = format!(
        "SELECT r.\"row\", c.{id} IS NULL FROM {} AS r LEFT JOIN {} AS c ON c.{id} = r.\"row\" WHERE r.\"row\" >= ?1 \
         ORDER BY r.\"row\" LIMIT {STEP}",
        sync.stored.table("rows"),
        sync.stored.content(&sync.watched),
        id = quote(&sync.watched.rowid)
    );
    let mut slice = Statement::prepare(sync.stored.db, &sql)?;
    let mut mark = mark_one(sync)?;
    let mut from = i64::MIN;
    loop {
        let rows = slice.all(&[from.into()], |row| (row.int(0), row.int(1) != 0))?;
        let Some((last, _)) = rows.last().copied() else { return Ok(()) };
        let next = after(&sync.stored, from, last)?;
        let gone: Vec<i64> = rows.into_iter().filter(|(_, is_gone)| *is_gone).map(|(row, _)| row).collect();
        if !gone.is_empty() {
            sync.transactions.run(|_| {
                for row in &gone {
                    mark.run(&[(*row).into(), (Mark::Hidden as i64).into()])?;
                }
                Ok(())
            })?;
        }
        sync.transactions.sleep(std::time::Duration::ZERO)?;
        let Some(next) = next else { return Ok(()) };
        from = next;
    }
}

fn mark_one(sync: &Sync<'_>) -> Result<Statement, Stop> {
    let sql = format!(
        "INSERT INTO {}(\"row\", kind) VALUES (?1, ?2) ON CONFLICT(\"row\") DO UPDATE SET kind = max(kind, excluded.kind)",
        sync.stored.table(MARKS)
    );
    Ok(Statement::prepare(sync.stored.db, &sql)?)
}

/// Gives back what nobody needs any more: generations before, and vectors of chunks that went, once every row is done that
/// was marked with them and may have taken their texts. Where rows are marked all the time, those are the ones that an
/// earlier sync than `number` has left, if this one `has_seen_all` rows.
///
/// # Errors
/// What SQLite says; an interrupt.
pub fn tidy(sync: &mut Sync<'_>, has_seen_all: bool, number: i64) -> Result<(), Stop> {
    let answering = sync.stored.generation();
    let filling = sync.stored.next().map_or(answering, |(next, _)| next);
    let old = format!("generation < {answering} OR (generation > {answering} AND generation < {filling})");
    delete(sync, "vectors", &old, VECTORS)?;
    delete(sync, "segments", &old, SEGMENTS)?;
    let is_done =
        sync.number(&format!("SELECT NOT EXISTS (SELECT 1 FROM {})", sync.stored.table(MARKS)))? == 1;
    if is_done || has_seen_all {
        let whose = if is_done { String::new() } else { format!(" AND place <> {number}") };
        delete(sync, "vectors", &format!("generation = {answering} AND chunk < 0{whose}"), VECTORS)?;
        delete(sync, "vectors", &format!("generation = {filling} AND chunk < 0{whose}"), VECTORS)?;
    }
    Ok(())
}

fn delete(sync: &mut Sync<'_>, table: &str, condition: &str, step: i64) -> Result<(), Stop> {
    let (db, table) = (sync.stored.db, sync.stored.table(table));
    let mut some =
        Statement::prepare(db, &format!("SELECT EXISTS (SELECT 1 FROM {table} WHERE {condition})"))?;
    let sql =
        format!("DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE {condition} LIMIT {step})");
    let mut delete = Statement::prepare(db, &sql)?;
    let mut changes = Statement::prepare(db, "SELECT changes()")?;
    while some.first(&[], |row| row.int(0))? == Some(1) {
        let gone = sync.transactions.run(|_| {
            delete.run(&[])?;
            Ok(changes.first(&[], |row| row.int(0))?)
        })?;
        if gone == Some(0) {
            // Rows without an id, in a table of a stranger.
            break;
        }
    }
    Ok(())
}
