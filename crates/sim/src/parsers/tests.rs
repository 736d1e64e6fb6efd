//! The corpus, and a seeded run of mutations over it. `EVENKEEL_SEED` repeats a run, `EVENKEEL_ROUNDS` lengthens it.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use super::{TARGETS, Target};
use crate::chance::Chance;

/// Mutations of each file of the corpus.
const ROUNDS: u64 = 400;

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

fn corpus(target: &Target) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target.name);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries
        .flatten()
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path()).unwrap()))
        .collect();
    files.sort();
    files
}

/// Feeds the target and names the input if it panics.
fn feed(target: &Target, bytes: &[u8], from: &str) {
    if catch_unwind(AssertUnwindSafe(|| (target.feed)(bytes))).is_err() {
        panic!("{} breaks on {from}: {}", target.name, bytes.escape_ascii());
    }
}

#[test]
fn the_corpus_breaks_nothing() {
    for target in TARGETS {
        let files = corpus(target);
        assert!(files.len() >= 3, "the corpus of {} has {} files", target.name, files.len());
        for (name, bytes) in files {
            feed(target, &bytes, &name);
        }
    }
}

#[test]
fn mutations_of_the_corpus_break_nothing() {
    let (seed, rounds) = (number("EVENKEEL_SEED", 1), number("EVENKEEL_ROUNDS", ROUNDS));
    println!("EVENKEEL_SEED={seed} EVENKEEL_ROUNDS={rounds}");
    for target in TARGETS {
        let mut chance = Chance::new(seed);
        for (name, bytes) in corpus(target) {
            let mut current = bytes.clone();
            for round in 0..rounds {
                let next = chance.mutate(&current, target.marks);
                feed(target, &next, &format!("{name}, round {round} of seed {seed}"));
                // Mostly from the original, so that what is fed stays close to what is well formed.
                current = if chance.below(4) == 0 { next } else { bytes.clone() };
            }
        }
    }
}

#[test]
fn every_target_has_its_file_and_every_file_its_target() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/fuzz_targets");
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().flatten().map(|entry| entry.file_name().into_string().unwrap()).collect();
    let mut wanted: Vec<_> = TARGETS.iter().map(|target| format!("{}.rs", target.name)).collect();
    files.sort();
    wanted.sort();
    assert_eq!(files, wanted);
}
