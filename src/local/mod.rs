//! A model inside the process: format `local`. No server, no key, no network.
//!
//! A client names a [`folder`] with `model.onnx` and `tokenizer.json`, as sentence-transformers and its exporters
//! write it. [`loaded`] keeps one copy of a model for the whole process; [`engine`] runs it on the threads of
//! [`workers`], several texts of similar length at a time. The caller's thread only waits, so that an interrupt or the
//! option `timeout` ends the wait at once; what is being computed then runs to its end and is dropped.

mod engine;
mod folder;
mod loaded;
mod nesting;
mod pool;
mod tokenize;
mod workers;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{OnceLock, mpsc::Sender};
use std::time::{Duration, Instant};

use crate::base::guard::guard;
use crate::base::hash::{Digest, Hasher};
use crate::base::interrupt::{Interrupt, SLICE};
use crate::base::vector::normalize;
use crate::provider::Reply;

use engine::Engine;
use folder::Folder;

/// Tokens that are computed at once, padding included: enough to keep a core busy, and a fraction of a second of a
/// small model.
const BATCH_TOKENS: usize = 256;

/// Why there are no vectors.
#[derive(Debug, PartialEq)]
pub enum Trouble {
    /// A text has more tokens than the model takes.
    TooLong(String),
    /// Anything else.
    Failed(String),
    /// The statement was interrupted.
    Interrupted,
}

/// The model of a client: where it is and what its folder says of it. It is loaded when it is used first.
#[derive(Debug, Clone)]
pub struct Model {
    folder: Arc<Folder>,
}

/// What the vectors are to be like.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shape {
    /// Their width, where it is not the model's own.
    pub dimensions: Option<usize>,
    /// Whether a text that is too long is cut.
    pub truncate: bool,
}

/// A model that is ready.
pub struct Loaded {
    folder: Arc<Folder>,
    engine: Arc<Engine>,
}

impl Model {
    /// Finds the model in the folder `path`, or the one that lies beside the library, and reads what its folder says.
    ///
    /// # Errors
    /// A folder that holds no model, in words for the user.
    pub fn open(path: Option<&str>) -> Result<Model, String> {
        let folder = match path {
            Some(path) => Folder::open(path.as_ref())?,
            None => Folder::beside_the_library()?,
        };
        Ok(Model { folder: Arc::new(folder) })
    }

    /// The folder's path.
    pub fn path(&self) -> String {
        self.folder.path.to_string_lossy().into_owned()
    }

    /// The text that the model wants before texts of this type.
    ///
    /// # Errors
    /// A type that the model does not name.
    pub fn prefix(&self, input_type: Option<&str>) -> Result<&str, String> {
        self.folder.prefix(input_type)
    }

    /// Loads it, unless the process has it.
    ///
    /// # Errors
    /// Files that hold no model, an interrupt, too much time.
    pub fn load(&self, timeout: Duration, interrupt: &Arc<dyn Interrupt>) -> Result<Loaded, Trouble> {
        let engine = loaded::get(&self.folder, timeout, interrupt)?;
        Ok(Loaded { folder: self.folder.clone(), engine })
    }
}

impl Loaded {
    /// Everything of the model that can change a vector, hashed.
    pub fn hash(&self) -> Digest {
        let shape = format!("{:?} {}", self.folder.pooling, self.limit());
        Hasher::default().part(&self.engine.hash).part(shape.as_bytes()).finish()
    }

    fn limit(&self) -> usize {
        self.folder.max_tokens.or(self.engine.tokens.limit).unwrap_or(folder::MAX_TOKENS)
    }

    /// The tokens of `text`, with those that the model adds, however many the model takes.
    ///
    /// # Errors
    /// A text that the tokenizer cannot read.
    pub fn count_tokens(&self, text: &str) -> Result<usize, Trouble> {
        self.engine.tokens.encode(text, usize::MAX, false).map(|tokens| tokens.len())
    }

    /// Computes the embeddings of `texts` and counts their tokens.
    ///
    /// # Errors
    /// A text that is too long, an interrupt, a model that fails or takes longer than `timeout`. Time in which other
    /// statements compute does not count.
    pub fn embed(
        &self,
        texts: Vec<String>,
        shape: Shape,
        timeout: Duration,
        interrupt: &Arc<dyn Interrupt>,
    ) -> Result<Reply, Trouble> {
        let full = self.engine.width;
        let width = shape.dimensions.unwrap_or(full);
        if width > full {
            return Err(Trouble::Failed(format!(
                "the option dimensions asks for {width}, and the model has {full}"
            )));
        }
        let count = texts.len();
        let run = Run::new(timeout, interrupt);
        let (engine, limit, truncate) = (self.engine.clone(), self.limit(), shape.truncate);
        let read = run.start(move || {
            texts
                .iter()
                .map(|text| engine.tokens.encode(text, limit, truncate))
                .collect::<Result<Vec<_>, _>>()
        })?;
        let rows = Arc::new(run.wait(&read)?.map_err(Trouble::Failed)??);
        let (send, receive) = channel();
        let mut waiting = 0;
        for batch in batches(&rows) {
            let (engine, folder, rows) = (self.engine.clone(), self.folder.clone(), rows.clone());
            run.submit(&send, move |pool| {
                let texts: Vec<_> = batch.iter().map(|&i| rows[i].as_slice()).collect();
                engine.run(&texts, folder.pooling, pool).map(|vectors| (batch, vectors))
            })?;
            waiting += 1;
        }
        let mut data = vec![0.0; count * width];
        for _ in 0..waiting {
            let (batch, vectors) = run.wait(&receive)?.map_err(Trouble::Failed)?;
            for (i, vector) in batch.into_iter().zip(vectors.chunks_exact(full)) {
                let row = &mut data[i * width..(i + 1) * width];
                row.copy_from_slice(&vector[..width]);
                normalize(row);
            }
        }
        let tokens = rows.iter().map(|row| row.len() as u64).sum();
        Ok(Reply { data, width, rows: count, tokens: Some(tokens), ..Reply::default() })
    }
}

/// Texts of similar length together: a batch is as wide as its longest.
fn batches(rows: &[Vec<u32>]) -> Vec<Vec<usize>> {
    let mut order: Vec<_> = (0..rows.len()).collect();
    order.sort_by_key(|&i| rows[i].len());
    let mut batches: Vec<Vec<usize>> = Vec::new();
    for i in order {
        match batches.last_mut() {
            Some(batch) if (batch.len() + 1) * rows[i].len() <= BATCH_TOKENS => batch.push(i),
            _ => batches.push(vec![i]),
        }
    }
    batches
}

/// The work of one request, which ends when nobody waits for it any more.
struct Run<'a> {
    /// Relaxed, for the flag alone is read: results travel through the channel. A worker that sees the flag late
    /// computes one batch that nobody wants.
    cancelled: Arc<AtomicBool>,
    begun: Arc<OnceLock<Instant>>,
    timeout: Duration,
    interrupt: &'a Arc<dyn Interrupt>,
}

impl<'a> Run<'a> {
    fn new(timeout: Duration, interrupt: &'a Arc<dyn Interrupt>) -> Run<'a> {
        Run { cancelled: Arc::default(), begun: Arc::default(), timeout, interrupt }
    }

    fn start<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Receiver<Result<T, String>>, Trouble> {
        let (send, receive) = channel();
        self.submit(&send, move |_| Ok(work()))?;
        Ok(receive)
    }

    fn submit<T: Send + 'static>(
        &self,
        send: &Sender<Result<T, String>>,
        work: impl FnOnce(&workers::Pool) -> Result<T, String> + Send + 'static,
    ) -> Result<(), Trouble> {
        let (cancelled, begun, send) = (self.cancelled.clone(), self.begun.clone(), send.clone());
        let job = move |pool: &workers::Pool| {
            if !cancelled.load(Ordering::Relaxed) {
                begun.get_or_init(Instant::now);
                let done = guard(|| work(pool)).unwrap_or_else(Err);
                // Nobody may be waiting any more.
                let _ = send.send(done);
            }
        };
        workers::submit(Box::new(job)).map_err(Trouble::Failed)
    }

    fn wait<T>(&self, receive: &Receiver<T>) -> Result<T, Trouble> {
        wait(receive, self.interrupt, self.timeout, || self.begun.get().map(Instant::elapsed))
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
}

/// Waits for what another thread computes; `spent` is the time that counts against `timeout`.
fn wait<T>(
    receive: &Receiver<T>,
    interrupt: &Arc<dyn Interrupt>,
    timeout: Duration,
    spent: impl Fn() -> Option<Duration>,
) -> Result<T, Trouble> {
    loop {
        match receive.recv_timeout(SLICE.min(timeout)) {
            Ok(done) => return Ok(done),
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Trouble::Failed("a thread of the model has ended".into()));
            }
            Err(RecvTimeoutError::Timeout) if interrupt.is_interrupted() => return Err(Trouble::Interrupted),
            Err(RecvTimeoutError::Timeout) if spent().is_some_and(|spent| spent >= timeout) => {
                let seconds = timeout.as_secs_f64();
                return Err(Trouble::Failed(format!(
                    "the model takes longer than {seconds} s: raise the option timeout, or lower batch_tokens"
                )));
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

impl From<String> for Trouble {
    fn from(text: String) -> Trouble {
        Trouble::Failed(text)
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
