//! Whose code a file is, who may read it, what goes first, and what a crash, another build or a full quota leaves.

use std::os::unix::fs::PermissionsExt;

use types::job::CLASS_WASM_V2;

use super::*;

const CLASS: EngineClass = CLASS_WASM_V2;

struct Place {
    root: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("program"), "one build").unwrap();
        Self { root }
    }

    fn dir(&self) -> PathBuf {
        self.root.path().join("code")
    }

    fn open(&self, quota: u64) -> CodeCache {
        CodeCache::open(&self.dir(), &self.root.path().join("program"), quota).unwrap()
    }

    /// Names of the files that are there.
    fn names(&self) -> Vec<String> {
        let listed = fs::read_dir(self.dir()).unwrap();
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name();
        let mut names: Vec<_> = listed
            .map(|entry| name(entry).to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

fn module(n: u8) -> BlobId {
    BlobId::of(&[n; 9])
}

fn held(cache: &CodeCache, n: u8) -> Option<Vec<u8>> {
    let file = cache.file(module(n), CLASS)?;
    Some(fs::read(file).unwrap())
}

#[test]
fn code_is_given_for_its_module_class_and_build_alone() {
    let place = Place::new();
    let cache = place.open(100);
    assert_eq!(held(&cache, 1), None);
    cache.keep(module(1), CLASS, b"code").unwrap();
    assert_eq!(held(&cache, 1).unwrap(), b"code");
    assert_eq!(held(&cache, 2), None);
    let longer = BlobId {
        length: 10,
        ..module(1)
    };
    assert_eq!(cache.file(longer, CLASS), None);
    assert_eq!(cache.file(module(1), EngineClass(CLASS.0 + 1)), None);
    cache.keep(module(1), CLASS, b"newer").unwrap();
    assert_eq!(held(&cache, 1).unwrap(), b"newer");
    assert_eq!(held(&place.open(100), 1).unwrap(), b"newer");
    fs::write(place.root.path().join("program"), "another build").unwrap();
    assert_eq!(held(&place.open(100), 1), None);
    assert!(place.names().is_empty(), "what no build uses is gone");
}

#[test]
fn its_owner_alone_may_read_it() {
    let place = Place::new();
    let cache = place.open(100);
    cache.keep(module(1), CLASS, b"code").unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&place.dir()), 0o700);
    assert_eq!(mode(&cache.file(module(1), CLASS).unwrap()), 0o600);
    fs::set_permissions(place.dir(), fs::Permissions::from_mode(0o750)).unwrap();
    let opened = CodeCache::open(&place.dir(), &place.root.path().join("program"), 100);
    assert!(matches!(opened, Err(PartnerError::Folder(_))), "{opened:?}");
}

#[test]
fn what_was_not_used_the_longest_goes_first() {
    let place = Place::new();
    let cache = place.open(10);
    for n in [1, 2, 3] {
        cache.keep(module(n), CLASS, &[n; 3]).unwrap();
    }
    assert!(held(&cache, 1).is_some());
    cache.keep(module(4), CLASS, &[4; 3]).unwrap();
    assert_eq!(held(&cache, 2), None);
    assert_eq!(place.names().len(), 3);
    // One that is larger takes the place of two; one that is too large of none.
    cache.keep(module(5), CLASS, &[5; 5]).unwrap();
    assert!(held(&cache, 3).is_none() && held(&cache, 1).is_none());
    assert!(held(&cache, 4).is_some());
    cache.keep(module(6), CLASS, &[6; 11]).unwrap();
    assert_eq!((held(&cache, 6), place.names().len()), (None, 2));
    // In place of itself it is counted once.
    cache.keep(module(5), CLASS, &[7; 7]).unwrap();
    assert_eq!(
        (held(&cache, 5).unwrap(), place.names().len()),
        (vec![7; 7], 2)
    );
}

#[test]
fn the_order_of_use_and_the_quota_hold_after_a_start() {
    let place = Place::new();
    let cache = place.open(100);
    for n in [1, 2, 3] {
        cache.keep(module(n), CLASS, &[n; 3]).unwrap();
        // Times of files in steps that every disk can tell apart.
        let (file, hour) = (cache.file(module(n), CLASS).unwrap(), 3_600 * u64::from(n));
        let then = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(hour);
        File::options()
            .append(true)
            .open(file)
            .unwrap()
            .set_modified(then)
            .unwrap();
    }
    assert!(held(&cache, 1).is_some(), "this use is told to the disk");
    drop(cache);
    let cache = place.open(6);
    assert!(held(&cache, 1).is_some() && held(&cache, 3).is_some());
    assert_eq!(held(&cache, 2), None);
}

#[test]
fn what_a_crash_left_is_removed() {
    let place = Place::new();
    let cache = place.open(100);
    cache.keep(module(1), CLASS, b"code").unwrap();
    let whole = place.names();
    let unfinished = format!("{}.7{UNFINISHED}", whole[0]);
    fs::write(place.dir().join(unfinished), b"co").unwrap();
    fs::create_dir(place.dir().join("folder")).unwrap();
    drop(cache);
    let cache = place.open(100);
    assert_eq!(place.names(), whole);
    // A file that somebody removed is a miss for its reader, and can be kept again.
    fs::remove_file(cache.file(module(1), CLASS).unwrap()).unwrap();
    cache.keep(module(1), CLASS, b"again").unwrap();
    assert_eq!(held(&cache, 1).unwrap(), b"again");
}

#[test]
fn several_jobs_keep_code_at_the_same_time() {
    let place = Place::new();
    let cache = place.open(1_000);
    std::thread::scope(|scope| {
        for n in 0..8u8 {
            let cache = &cache;
            scope.spawn(move || {
                for _ in 0..20 {
                    cache.keep(module(n % 2), CLASS, &[n % 2; 50]).unwrap();
                    assert_eq!(held(cache, n % 2), Some(vec![n % 2; 50]));
                }
            });
        }
    });
    assert_eq!(place.names().len(), 2);
}
