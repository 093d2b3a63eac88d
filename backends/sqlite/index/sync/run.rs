//! A sync from its beginning to its end, in steps that each leave the index whole.

use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use super::claims::Claims;
use super::gather::{Reader, Round, Source};
use super::generations::Target;
use super::release::Release;
use super::transaction::Transactions;
use super::write::Writer;
use super::{Counts, Progress, Stop, after, generations, now, optimize, pass, settle, words};
use crate::index::asked::Asked;
use crate::index::ddl::Watched;
use crate::index::fingerprint::Fingerprint;
use crate::sqlite::connection::Connection;
use crate::sqlite::index::stored::{Stored, put, setting};
use crate::sqlite::sql::Statement;

/// A sync under way.
pub struct Sync<'a> {
    connection: &'a Arc<Connection>,
    pub(super) stored: Stored,
    pub(super) watched: Watched,
    pub(super) target: Target,
    pub(super) transactions: Transactions,
    claims: Claims,
    /// The most rows that it takes up.
    limit: u64,
    progress: &'a mut Progress,
}

impl<'a> Sync<'a> {
    /// Begins, with the triggers and tables that there are to be.
    ///
    /// # Errors
    /// A client that is not there or has another model; a content table that is none any more; what SQLite says.
    pub fn new(
        connection: &'a Arc<Connection>,
        stored: Stored,
        asked: Asked,
        progress: &'a mut Progress,
        release: &Rc<RefCell<Release>>,
    ) -> Result<Sync<'a>, Stop> {
        let call = connection.session.call(&stored.config.client, Some("document"))?;
        let mut transactions = Transactions::new(&stored, call.client().timeout(), release)?;
        let (stored, watched) = settle::settle(stored, &mut transactions)?;
        let model = Fingerprint::of(&call)?;
        let stored = if asked.reembed && !progress.has_begun {
            progress.has_begun = true;
            generations::begin(stored, &model, &mut transactions)?
        } else {
            stored
        };
        let target = generations::target(&stored, model)?;
        transactions.watch(&stored, &watched)?;
        if progress.spare.as_ref().is_some_and(|(model, _)| *model != target.model) {
            progress.spare = None;
        }
        let claims = Claims::new(&stored, connection);
        let limit = asked.limit.unwrap_or(u64::MAX);
        Ok(Sync { connection, stored, watched, target, transactions, claims, limit, progress })
    }

    /// Does it all.
    ///
    /// # Errors
    /// What fails; what was written until then is kept.
    pub fn run(mut self) -> Result<(), Stop> {
        let done = self.steps();
        // Where they stay, they expire.
        if done.is_err() {
            self.claims.give_up();
        }
        done
    }

    fn steps(&mut self) -> Result<(), Stop> {
        // Before any chunk changes.
        if words::fill(self)? {
            self.read_again()?;
        }
        pass::pass(self)?;
        pass::sweep(self)?;
        self.take_up(Source::Marked)?;
        self.take_up(Source::Failed)?;
        if self.target.is_next {
            self.take_up(Source::Unfilled)?;
            if generations::swap(self)? {
                // The rest is of the generation that answers now.
                self.read_again()?;
            }
        }
        let has_seen_all = self.progress.taken < self.limit;
        pass::tidy(self, has_seen_all, self.progress.number)?;
        optimize::optimize(self)?;
        let (db, schema, name) = (self.stored.db, &*self.stored.schema, &*self.stored.name);
        self.transactions.run(|_| Ok(put(db, schema, name, &[(setting::SYNCED, now().into())])?))
    }

    /// Goes on with the index as this sync has just changed it.
    fn read_again(&mut self) -> Result<(), Stop> {
        self.stored = Stored::read(self.stored.db, &self.stored.schema, &self.stored.name)?;
        Ok(self.transactions.watch(&self.stored, &self.watched)?)
    }

    /// Does the rows of `source`, round by round.
    fn take_up(&mut self, source: Source) -> Result<(), Stop> {
        let mut from = i64::MIN;
        while self.progress.taken < self.limit {
            let call = self.connection.session.call(&self.stored.config.client, Some("document"))?;
            if Fingerprint::of(&call)? != self.target.model {
                return Err(Stop::Stale);
            }
            let reader = Reader { stored: &self.stored, watched: &self.watched, target: &self.target };
            let most = self.limit - self.progress.taken;
            let mut round = reader.read(call.client(), source, from, most, &self.claims)?;
            let Some(last) = round.last() else { break };
            let next = after(&self.stored, from, last)?;
            if let Some((_, spare)) = &self.progress.spare {
                round.use_spare(spare);
            }
            if round.wants_vectors() {
                self.claims.claim(&mut round, &mut self.transactions)?;
                round.embed(&reader, source, call, self.claims.renewing())?;
            }
            self.progress.taken += round.rows.len() as u64;
            if let Err(stop) = self.write(&round) {
                if matches!(stop, Stop::Stale) {
                    self.progress.spare = Some((self.target.model.clone(), round.vectors));
                }
                return Err(stop);
            }
            let Some(next) = next else { break };
            from = next;
        }
        Ok(())
    }

    /// Writes the rows of a round.
    fn write(&mut self, round: &Round) -> Result<(), Stop> {
        let mut writer = Writer::new(&self.stored, &self.watched, &self.target, self.claims.owner())?;
        let number = self.progress.number;
        let mut lost = HashSet::new();
        let mut next = 0;
        while next < round.rows.len() {
            let written = self.transactions.run(|until| {
                writer.begin(&self.target, number)?;
                let (mut done, mut counts) = (next, Counts::default());
                while done < round.rows.len() && (done == next || Instant::now() < until) {
                    if !lost.contains(&round.rows[done].row) {
                        counts += writer.row(&round.rows[done], round)?;
                    }
                    done += 1;
                }
                Ok((done, counts, writer.end()?))
            });
            match written {
                Ok((done, counts, target)) => {
                    next = done;
                    self.progress.counts += counts;
                    self.target = target;
                }
                // Another sync took the vector out. The row stays marked.
                Err(Stop::Lost(row)) if lost.insert(row) => {}
                Err(stop) => return Err(stop),
            }
        }
        Ok(())
    }

    /// A number that a query gives.
    pub(super) fn number(&self, sql: &str) -> Result<i64, Stop> {
        Ok(Statement::prepare(self.stored.db, sql)?.first(&[], |row| row.int(0))?.unwrap_or(0))
    }
}
