//! From a spec to a job: its files are opened, checked and hashed, its hashes resolved.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use blobs::Encoder;
use executor::class::KNOWN;
use rpc::Client;
use types::codec::Bounded;
use types::hash::{BlobId, Hash32};
use types::job::{Input, JobSpec, Workload};
use types::limits::{MAX_BLOB_BYTES, MAX_JOB_INPUT_BYTES, MAX_MODULE_BYTES};
use types::number::EngineClass;
use types::params::{ClassParams, newest_open_class};

use super::spec::{InputOrigin, Spec, SpecError, SpecSource};
use crate::failure::{CommandFailure, ExitKind};
use crate::submit::failure;
use crate::ui::{ProgressLine, Ui};

/// Most jobs that are looked through for a blob of which only the hash is known.
const MAX_SEARCHED_JOBS: usize = 50;
/// How every WebAssembly file begins.
const WASM_MAGIC: [u8; 4] = *b"\0asm";
/// What follows in a core module; a component has another version there.
const WASM_CORE_VERSION: [u8; 4] = [1, 0, 0, 0];

/// A job that is ready to be submitted.
pub struct Prepared {
    /// What goes on chain.
    pub spec: JobSpec,
    /// The files that may have to be uploaded, each blob once.
    pub files: Vec<LocalFile>,
    /// Blobs that the spec names by hash: the network must hold them.
    held: Vec<(SpecSource, BlobId)>,
    /// The module's file, if it is one of ours.
    module: Option<(SpecSource, PathBuf)>,
    /// Path as the spec names it, for messages.
    path: PathBuf,
}

/// A file of the customer and the blob that it is.
pub struct LocalFile {
    /// Path of the file on this machine.
    pub path: PathBuf,
    /// Its hash tree, which encodes its chunks.
    pub encoder: Encoder,
}

impl Prepared {
    /// Reads a spec and its files. Hashes without a length are asked of a node; without one that is a mistake.
    pub async fn read(
        path: &Path,
        client: Option<&Client>,
        ui: Ui,
    ) -> Result<Self, CommandFailure> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            CommandFailure::new(
                ExitKind::BadInput,
                "spec",
                format!("cannot read the job spec {}: {error}", path.display()),
            )
            .hint("give the path of a YAML file; docs/job-spec.md shows one")
        })?;
        Self::of_text(path, &text, client, ui).await
    }

    /// Reads the text of a spec, whose files lie beside `path`, and those files.
    pub async fn of_text(
        path: &Path,
        text: &str,
        client: Option<&Client>,
        ui: Ui,
    ) -> Result<Self, CommandFailure> {
        let directory = path.parent().unwrap_or(Path::new(""));
        let spec = Spec::parse(text, directory).map_err(|error| bad_spec(path, &error))?;
        let total = spec.sources().map(size_of).sum();
        let progress = ui.bytes(total, "hashing");
        let mut reader = Resolver {
            path,
            client,
            progress: &progress,
            files: Vec::new(),
            held: Vec::new(),
        };
        let resolved = reader.resolve(&spec).await;
        let (files, held) = (reader.files, reader.held);
        progress.finish();
        let module = match &spec.module.origin {
            InputOrigin::File(path) => Some((spec.module.clone(), path.clone())),
            InputOrigin::Blob { .. } => None,
        };
        Ok(Self {
            spec: resolved?,
            files,
            held,
            module,
            path: path.to_owned(),
        })
    }

    /// Refuses blobs named by hash that the node does not hold: nobody would bring them.
    pub async fn check_held(&self, client: &Client) -> Result<(), CommandFailure> {
        for (source, blob) in &self.held {
            let ours = self.files.iter().any(|file| file.encoder.id() == *blob);
            let held = match client.blob(*blob).await {
                Ok(status) => status.complete,
                Err(error) if error.is_not_found() => false,
                Err(error) => return Err(failure(error)),
            };
            if !ours && !held {
                let why = format!(
                    "{} does not hold blob {} of {} bytes",
                    client.url(),
                    blob.hash,
                    blob.length
                );
                return Err(at(&self.path, source, "blob_not_held", &why)
                    .hint("give the file's path: blobs of a job that is over are not kept"));
            }
        }
        Ok(())
    }

    /// Compiles the module as a partner would, and refuses one that the engine does not take.
    pub fn check_module(&self, ui: Ui) -> Result<(), CommandFailure> {
        let Some((source, module)) = &self.module else {
            return Ok(());
        };
        let bytes = std::fs::read(module)?;
        let progress = ui.spinner("compiling the module");
        let engine = executor::TaskEngine::new(self.spec.workload.class);
        let program = engine.and_then(|engine| engine.compile(&bytes));
        progress.finish();
        match program {
            Ok(program) => match program.refusal() {
                None => Ok(()),
                Some(why) => Err(at(
                    &self.path,
                    source,
                    "module_refused",
                    &format!("the engine does not take it: {why}"),
                )
                .hint(
                    "build for WASI preview 1 (wasm32-wasi or wasm32-wasip1) with a `_start` function, without threads",
                )),
            },
            Err(error) => {
                Err(CommandFailure::new(ExitKind::Other, "no_result", format!("the module was not compiled: {error}")))
            }
        }
    }
}

fn bad_spec(path: &Path, error: &SpecError) -> CommandFailure {
    CommandFailure::new(
        ExitKind::BadInput,
        "bad_spec",
        format!("{}: {error}", path.display()),
    )
    .hint("correct that line; docs/job-spec.md explains every field")
}

/// A mistake at a source of the spec.
fn at(path: &Path, source: &SpecSource, code: &str, why: &str) -> CommandFailure {
    let message = format!(
        "{}: line {}, {}: {why}",
        path.display(),
        source.line,
        source.field
    );
    CommandFailure::new(ExitKind::BadInput, code, message)
}

fn size_of(source: &SpecSource) -> u64 {
    match &source.origin {
        InputOrigin::File(path) => std::fs::metadata(path).map_or(0, |data| data.len()),
        InputOrigin::Blob { .. } => 0,
    }
}

struct Resolver<'a> {
    path: &'a Path,
    client: Option<&'a Client>,
    progress: &'a ProgressLine,
    files: Vec<LocalFile>,
    held: Vec<(SpecSource, BlobId)>,
}

impl Resolver<'_> {
    async fn resolve(&mut self, spec: &Spec) -> Result<JobSpec, CommandFailure> {
        let module = self.module(&spec.module).await?;
        let stdin = match &spec.stdin {
            Some(source) => Some(self.blob(source).await?),
            None => None,
        };
        let mut inputs = Vec::new();
        for (source, target) in &spec.inputs {
            inputs.push(Input {
                blob: self.blob(source).await?,
                target: target.clone(),
            });
        }
        let workload = Workload {
            class: self.class().await?,
            module,
            arguments: bounded(spec.arguments.clone())?,
            environment: spec.environment.clone(),
            stdin,
            inputs: bounded(inputs)?,
            outputs: bounded(spec.outputs.clone())?,
            tasks: spec.tasks.clone(),
            state: spec.state.clone(),
            limits: spec.limits,
            clock_start_ns: spec.clock_start_ns,
            random_seed: spec.random_seed,
        };
        let total: u64 = workload.blobs().iter().map(|blob| blob.length).sum();
        if total > MAX_JOB_INPUT_BYTES {
            let why = format!(
                "module and inputs are {total} bytes together; the limit is {MAX_JOB_INPUT_BYTES}"
            );
            let message = format!("{}: {why}", self.path.display());
            return Err(
                CommandFailure::new(ExitKind::BadInput, "inputs_too_large", message)
                    .hint("split the job"),
            );
        }
        Ok(JobSpec {
            name: spec.name.clone(),
            workload,
            constraints: spec.constraints.clone(),
            verification: spec.verification.clone(),
            price_cap: spec.price_cap,
            max_wait_ms: spec.max_wait_ms,
        })
    }

    /// The class that the job is for: the newest that this program knows and the network takes jobs of now. Where there is
    /// none, or no node to ask, the newest that this program knows; the network then says what is wrong with it.
    async fn class(&self) -> Result<EngineClass, CommandFailure> {
        let [.., newest] = KNOWN;
        let Some(client) = self.client else {
            return Ok(newest);
        };
        let status = client.status().await.map_err(failure)?;
        let classes: Vec<_> = status.classes.iter().map(ClassParams::from).collect();
        Ok(newest_open_class(&classes, &KNOWN, status.height.next()).unwrap_or(newest))
    }

    async fn module(&mut self, source: &SpecSource) -> Result<BlobId, CommandFailure> {
        if let InputOrigin::File(path) = &source.origin {
            self.check_is_module(source, path)?;
        }
        let blob = self.blob(source).await?;
        if blob.length > MAX_MODULE_BYTES {
            let why = format!(
                "the module has {} bytes; the limit is {MAX_MODULE_BYTES}",
                blob.length
            );
            return Err(at(self.path, source, "module_too_large", &why)
                .hint("strip it: wasm-opt -Oz, or link with -s"));
        }
        Ok(blob)
    }

    fn check_is_module(&self, source: &SpecSource, path: &Path) -> Result<(), CommandFailure> {
        let mut head = Vec::new();
        let file = self.open(source, path)?;
        file.take(8).read_to_end(&mut head)?;
        let found = format!("{} is not a WebAssembly module", path.display());
        if !head.starts_with(&WASM_MAGIC) {
            return Err(at(self.path, source, "not_wasm", &found)
                .hint("compile it to WASI first: clang --target=wasm32-wasi, or GOOS=wasip1 GOARCH=wasm go build"));
        }
        if head.get(4..) != Some(&WASM_CORE_VERSION[..]) {
            let found = format!("{found} but a component or of another version");
            return Err(at(self.path, source, "not_wasm", &found)
                .hint("build a core module for WASI preview 1"));
        }
        Ok(())
    }

    fn open(&self, source: &SpecSource, path: &Path) -> Result<File, CommandFailure> {
        let missing = |why: String| {
            at(
                self.path,
                source,
                "missing_input",
                &format!("cannot read {}: {why}", path.display()),
            )
            .hint("correct the path; relative ones start at the spec's folder")
        };
        let file = File::open(path).map_err(|error| missing(error.to_string()))?;
        let data = file
            .metadata()
            .map_err(|error| missing(error.to_string()))?;
        if !data.is_file() {
            return Err(missing("it is not a file".to_owned())
                .hint("an input is one file; pack a folder with tar"));
        }
        if data.len() > MAX_BLOB_BYTES {
            let why = format!(
                "{} has {} bytes; the limit is {MAX_BLOB_BYTES}",
                path.display(),
                data.len()
            );
            return Err(
                at(self.path, source, "input_too_large", &why).hint("split it into several inputs")
            );
        }
        Ok(file)
    }

    async fn blob(&mut self, source: &SpecSource) -> Result<BlobId, CommandFailure> {
        match &source.origin {
            InputOrigin::Blob { hash, length } => {
                let blob = match length {
                    Some(length) => BlobId {
                        hash: *hash,
                        length: *length,
                    },
                    None => self.find(source, *hash).await?,
                };
                self.held.push((source.clone(), blob));
                Ok(blob)
            }
            InputOrigin::File(path) => {
                let file = self.open(source, path)?;
                let length = file.metadata()?.len();
                let reader = CountingReader {
                    inner: file,
                    progress: self.progress,
                };
                let encoder =
                    Encoder::of_reader(std::io::BufReader::with_capacity(1 << 20, reader), length)?;
                let id = encoder.id();
                if !self.files.iter().any(|file| file.encoder.id() == id) {
                    self.files.push(LocalFile {
                        path: path.clone(),
                        encoder,
                    });
                }
                Ok(id)
            }
        }
    }

    /// The length of a blob of which only the hash is known: some recent job may have named it.
    async fn find(&self, source: &SpecSource, hash: Hash32) -> Result<BlobId, CommandFailure> {
        let unknown = |why: &str| {
            at(
                self.path,
                source,
                "unknown_blob",
                &format!("the length of blob {hash} is not known: {why}"),
            )
            .hint(format!("write it as blake3:{hash}:<bytes>"))
        };
        let Some(client) = self.client else {
            return Err(unknown("no node is asked here"));
        };
        for live in [true, false] {
            let list = client.jobs(live).await.map_err(failure)?;
            for summary in list.jobs.iter().rev().take(MAX_SEARCHED_JOBS) {
                let Ok(view) = client.job(summary.id).await else {
                    continue;
                };
                let Ok(spec) = view.canonical_spec() else {
                    continue;
                };
                let named = spec
                    .workload
                    .blobs()
                    .into_iter()
                    .find(|blob| blob.hash == hash);
                if let Some(blob) = named {
                    return Ok(blob);
                }
            }
        }
        Err(unknown("no recent job names it"))
    }
}

fn bounded<T, const MAX: usize>(items: Vec<T>) -> Result<Bounded<T, MAX>, CommandFailure> {
    Bounded::new(items)
        .map_err(|error| CommandFailure::new(ExitKind::BadInput, "bad_spec", error.to_string()))
}

/// Counts what is read.
struct CountingReader<'a> {
    inner: File,
    progress: &'a ProgressLine,
}

impl Read for CountingReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.progress.advance(u64::try_from(count).unwrap_or(0));
        Ok(count)
    }
}
