//! A sync from its beginning to its end, in steps that each leave the index whole.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use super::claims::Claims;
use super::gather::{self, Reader, Requests, Round, Source};
use super::generations::Target;
use super::release::Release;
use super::transaction::Transactions;
use super::write::Writer;
use super::{Counts, Progress, Stop, after, generations, now, optimize, pass, settle, words};
use crate::base::error::Error;
use crate::base::interrupt::Interrupt;
use crate::client::Client;
use crate::embed::progress::Progress as Bar;
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
        let mut transactions = Transactions::new(&stored, call.client().timeout(), connection, release)?;
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
        let claims = Claims::new(&stored, connection)?;
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
        self.transactions.durably();
        self.transactions.run(|_| Ok(put(db, schema, name, &[(setting::SYNCED, now().into())])?))
    }

    /// Goes on with the index as this sync has just changed it.
    fn read_again(&mut self) -> Result<(), Stop> {
        self.stored = Stored::read(self.stored.db, &self.stored.schema, &self.stored.name)?;
        Ok(self.transactions.watch(&self.stored, &self.watched)?)
    }

    /// Does the rows of `source`, round by round.
    fn take_up(&mut self, source: Source) -> Result<(), Stop> {
        let mut call = self.connection.session.call(&self.stored.config.client, Some("document"))?;
        if let Some(dimensions) = self.target.dimensions {
            call.expect(dimensions);
        }
        let meanwhile = self.claims.renewing();
        let mut requests = Requests::fed(call, true, meanwhile.clone());
        let mut rounds = VecDeque::new();
        let done = self.rounds(source, &mut requests, &*meanwhile, &mut rounds);
        if matches!(done, Err(Stop::Stale)) {
            // What is on its way has its price: the sync that begins anew needs it.
            let mut spare = HashMap::new();
            for mut round in rounds {
                if round.wait(&mut requests, source, &self.stored).is_ok() {
                    spare.extend(round.vectors);
                }
            }
            self.progress.spare = Some((self.target.model.clone(), spare));
        }
        done
    }

    fn rounds(
        &mut self,
        source: Source,
        requests: &mut Requests,
        meanwhile: &dyn Interrupt,
        rounds: &mut VecDeque<Round>,
    ) -> Result<(), Stop> {
        let (window, texts) = gather::window(requests.call().client());
        let mut writer = Writer::new(&self.stored, &self.watched, &self.target, self.claims.owner())?;
        let bar = self.bar(source, requests.call().client())?;
        let mut next = Some(i64::MIN);
        loop {
            if meanwhile.is_interrupted() {
                return Err(Error::Interrupted.into());
            }
            self.receive(source, requests, rounds)?;
            let mut unclaimed = None;
            while let Some(from) = next.filter(|_| unclaimed.is_none()) {
                let out = rounds.iter().filter(|round| !round.is_here());
                if out.clone().map(Round::awaited).sum::<usize>() + texts > window
                    || out.count() >= gather::ROUNDS
                {
                    break;
                }
                let Some(round) = self.read(source, from, texts, rounds)? else {
                    next = None;
                    break;
                };
                next = round.last().map(|last| after(&self.stored, from, last)).transpose()?.flatten();
                if !round.wants_vectors() {
                    self.ask(round, requests, rounds)?;
                } else if rounds.front().is_some_and(Round::is_here) {
                    unclaimed = Some(round);
                } else {
                    let rows = round.rows_without_vectors();
                    let claimed = self.transactions.run(|_| Ok(self.claims.claim(&rows)?))?;
                    self.ask(round.kept(&claimed), requests, rounds)?;
                }
            }
            requests.send()?;
            bar.waiting(requests.in_flight());
            match rounds.front() {
                Some(first) if first.is_here() => {
                    self.write(&mut writer, unclaimed, requests, rounds, &bar)?;
                    if let Some(words) = self.stored.words().filter(|_| writer.has_many_words()) {
                        optimize::merge_words(&mut self.transactions, &self.stored, words)?;
                    }
                }
                Some(_) => {}
                None => return Ok(()),
            }
        }
    }

    /// Waits for the vectors of the first round, and takes those of the second where they are here: a transaction writes
    /// rows of both, and what is done with vectors without a lock is done while the sync stays away.
    fn receive(
        &self,
        source: Source,
        requests: &mut Requests,
        rounds: &mut VecDeque<Round>,
    ) -> Result<(), Stop> {
        let rounds = rounds.make_contiguous();
        for i in 0..rounds.len().min(2) {
            let (before, others) = rounds.split_at_mut(i + 1);
            let round = &mut before[i];
            if round.is_here() {
                continue;
            }
            if i > 0 && !requests.have_come(round.awaited()) {
                break;
            }
            let done = round.wait(requests, source, &self.stored);
            others.iter_mut().for_each(|other| other.borrow(round));
            done?;
        }
        Ok(())
    }

    /// The bar of the rows of `source`.
    fn bar(&self, source: Source, client: &Client) -> Result<Bar, Stop> {
        if !Bar::is_wanted() {
            return Ok(Bar::none());
        }
        let reader = Reader { stored: &self.stored, watched: &self.watched, target: &self.target };
        let total = reader.count(source, &self.claims)?.min(self.limit - self.progress.taken);
        Ok(if total > 0 { Bar::new(client, "rows", Some(total)) } else { Bar::none() })
    }

    /// Reads a round from the rowid `from` on, if there is one.
    fn read(
        &self,
        source: Source,
        from: i64,
        texts: usize,
        rounds: &VecDeque<Round>,
    ) -> Result<Option<Round>, Stop> {
        let call = self.connection.session.call(&self.stored.config.client, Some("document"))?;
        if Fingerprint::of(&call)? != self.target.model {
            return Err(Stop::Stale);
        }
        let most = self.limit - self.progress.taken;
        if most == 0 {
            return Ok(None);
        }
        let reader = Reader { stored: &self.stored, watched: &self.watched, target: &self.target };
        let mut round = reader.read(texts, source, from, most, &self.claims, rounds)?;
        if let Some((_, spare)) = &self.progress.spare {
            round.use_spare(spare);
        }
        Ok(round.last().is_some().then_some(round))
    }

    /// Takes up a round whose rows are claimed, and asks for its vectors.
    fn ask(
        &mut self,
        mut round: Round,
        requests: &mut Requests,
        rounds: &mut VecDeque<Round>,
    ) -> Result<(), Stop> {
        round.ask(requests)?;
        self.progress.taken += round.rows.len() as u64;
        rounds.iter().filter(|before| before.is_here()).for_each(|before| round.borrow(before));
        rounds.push_back(round);
        Ok(())
    }

    /// Writes rows whose vectors are here, in a transaction that claims those of `unclaimed` too, and asks for the vectors of
    /// these: their requests travel while the next rows are written.
    fn write(
        &mut self,
        writer: &mut Writer,
        unclaimed: Option<Round>,
        requests: &mut Requests,
        rounds: &mut VecDeque<Round>,
        bar: &Bar,
    ) -> Result<(), Stop> {
        let number = self.progress.number;
        let to_claim = unclaimed.as_ref().map(Round::rows_without_vectors).unwrap_or_default();
        let mut lost = HashSet::new();
        let (done, counts, claimed) = loop {
            let written = self.transactions.run(|until| {
                let claimed = self.claims.claim(&to_claim)?;
                writer.begin(&self.target, number)?;
                let (mut done, mut counts) = (Vec::new(), Counts::default());
                let here = rounds.iter().take_while(|round| round.is_here());
                for (round, item) in here.flat_map(|round| round.left().iter().map(move |item| (round, item)))
                {
                    if !done.is_empty() && Instant::now() >= until {
                        break;
                    }
                    if !lost.contains(&item.row) {
                        counts += writer.row(item, round)?;
                    }
                    done.push(item.row);
                }
                Ok((writer.end(&done)?, done.len(), counts, claimed))
            });
            match written {
                Ok((target, done, counts, claimed)) => {
                    self.target = target;
                    break (done, counts, claimed);
                }
                // Another sync took the vector out. The row stays marked.
                Err(Stop::Lost(row)) if lost.insert(row) => {}
                Err(stop) => return Err(stop),
            }
        };
        writer.is_written();
        bar.done(done as u64);
        self.progress.counts += counts;
        rounds.iter_mut().fold(done, |done, round| round.written(done));
        if let Some(round) = unclaimed {
            self.ask(round.kept(&claimed), requests, rounds)?;
            requests.send()?;
        }
        while rounds.front().is_some_and(|round| round.is_here() && round.left().is_empty()) {
            rounds.pop_front();
        }
        Ok(())
    }

    /// A number that a query gives.
    pub(super) fn number(&self, sql: &str) -> Result<i64, Stop> {
        Ok(Statement::prepare(self.stored.db, sql)?.first(&[], |row| row.int(0))?.unwrap_or(0))
    }
}
