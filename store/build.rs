//! Keeps the RocksDB that scripts keep for development builds, compiled without optimisation, out of releases: they compile
//! their own. It looks at nothing else; a RocksDB that the builder chose by itself (`ROCKSDB_LIB_DIR`) is linked as ever.

use std::env::var;

/// Where `scripts/lib.sh` keeps archives, below the cache folder of whoever builds.
const KEPT: &str = "/gridproof/rocksdb/";

fn main() {
    for name in ["ROCKSDB_LIB_DIR", "ROCKSDB_COMPILE"] {
        println!("cargo:rerun-if-env-changed={name}");
    }
    println!("cargo:rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| var(name).is_ok_and(|found| found == value);
    let links_kept = var("ROCKSDB_LIB_DIR").is_ok_and(|folder| folder.contains(KEPT));
    let compiles = is("ROCKSDB_COMPILE", "1") || is("ROCKSDB_COMPILE", "true");
    if is("PROFILE", "release") && links_kept && !compiles {
        println!(
            "cargo::error=a release does not link the RocksDB that is kept for development builds: run `scripts/build --release`, or \
             set ROCKSDB_COMPILE=1"
        );
    }
}
