//! Two texts beside each other, line by line, in the unified form that `diff -u` and `patch` speak.
//!
//! It is for people who look at a change of a configuration. The invariant: whatever the texts are, the work is bounded; a
//! stretch that is too long to be compared is shown as taken out and put in whole.

use std::fmt::Write;
use std::ops::Range;

use evenkeel_model::caps;

/// Lines around a change that are shown with it.
const AROUND: usize = 3;

/// A line's fate. The numbers are places in the old and in the new text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Kept(usize, usize),
    Gone(usize),
    Come(usize),
}

/// The difference of two texts; empty where there is none.
pub fn unified((old_name, old): (&str, &str), (new_name, new): (&str, &str)) -> String {
    if old == new {
        return String::new();
    }
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let fates = fates(&old, &new);
    let mut text = format!("--- {old_name}\n+++ {new_name}\n");
    for hunk in hunks(&fates) {
        // Writing into a string cannot fail.
        let _ = write_hunk(&mut text, fates.get(hunk).unwrap_or_default(), (&old, &new));
    }
    text
}

fn fates(old: &[&str], new: &[&str]) -> Vec<Fate> {
    let front = old.iter().zip(new).take_while(|(old, new)| old == new).count();
    let left = old.len().min(new.len()) - front;
    let back = old.iter().rev().zip(new.iter().rev()).take(left).take_while(|(old, new)| old == new).count();
    let (old_end, new_end) = (old.len() - back, new.len() - back);
    let mut fates: Vec<Fate> = (0..front).map(|at| Fate::Kept(at, at)).collect();
    let (middle_old, middle_new) =
        (old.get(front..old_end).unwrap_or_default(), new.get(front..new_end).unwrap_or_default());
    fates.extend(middle(middle_old, middle_new).into_iter().map(|fate| match fate {
        Fate::Kept(a, b) => Fate::Kept(a + front, b + front),
        Fate::Gone(a) => Fate::Gone(a + front),
        Fate::Come(b) => Fate::Come(b + front),
    }));
    fates.extend((0..back).map(|at| Fate::Kept(old_end + at, new_end + at)));
    fates
}

/// The longest common subsequence of what lies between the first and the last change.
fn middle(old: &[&str], new: &[&str]) -> Vec<Fate> {
    let width = new.len() + 1;
    let cells = (old.len() + 1).saturating_mul(width);
    if cells > caps::DIFF_CELLS {
        let gone = (0..old.len()).map(Fate::Gone);
        return gone.chain((0..new.len()).map(Fate::Come)).collect();
    }
    // The length of the longest one from each place on.
    let mut longest = vec![0_u32; cells];
    let at = |longest: &[u32], a: usize, b: usize| longest.get(a * width + b).copied().unwrap_or(0);
    for (a, old_line) in old.iter().enumerate().rev() {
        for (b, new_line) in new.iter().enumerate().rev() {
            let best = match old_line == new_line {
                true => at(&longest, a + 1, b + 1) + 1,
                false => at(&longest, a + 1, b).max(at(&longest, a, b + 1)),
            };
            if let Some(cell) = longest.get_mut(a * width + b) {
                *cell = best;
            }
        }
    }
    let (mut a, mut b, mut fates) = (0, 0, Vec::new());
    while let (Some(old_line), Some(new_line)) = (old.get(a), new.get(b)) {
        if old_line == new_line {
            fates.push(Fate::Kept(a, b));
            (a, b) = (a + 1, b + 1);
        } else if at(&longest, a + 1, b) >= at(&longest, a, b + 1) {
            fates.push(Fate::Gone(a));
            a += 1;
        } else {
            fates.push(Fate::Come(b));
            b += 1;
        }
    }
    fates.extend((a..old.len()).map(Fate::Gone));
    fates.extend((b..new.len()).map(Fate::Come));
    fates
}

/// Stretches with changes in them, and a few lines around; those that meet are one.
fn hunks(fates: &[Fate]) -> Vec<Range<usize>> {
    let mut hunks: Vec<Range<usize>> = Vec::new();
    let changed = fates.iter().enumerate().filter(|(_, fate)| !matches!(fate, Fate::Kept(..)));
    for (at, _) in changed {
        let (from, to) = (at.saturating_sub(AROUND), (at + AROUND + 1).min(fates.len()));
        match hunks.last_mut() {
            Some(last) if from <= last.end => last.end = to,
            _ => hunks.push(from..to),
        }
    }
    hunks
}

fn write_hunk(to: &mut String, fates: &[Fate], (old, new): (&[&str], &[&str])) -> std::fmt::Result {
    let old_places: Vec<usize> = fates
        .iter()
        .filter_map(|fate| match fate {
            Fate::Kept(a, _) | Fate::Gone(a) => Some(*a),
            Fate::Come(_) => None,
        })
        .collect();
    let new_places: Vec<usize> = fates
        .iter()
        .filter_map(|fate| match fate {
            Fate::Kept(_, b) | Fate::Come(b) => Some(*b),
            Fate::Gone(_) => None,
        })
        .collect();
    // A side without lines names the line before, which is none at the start of a file.
    let first = |places: &[usize]| places.first().map_or(0, |first| first + 1);
    let (old_from, new_from) = (first(&old_places), first(&new_places));
    writeln!(to, "@@ -{old_from},{} +{new_from},{} @@", old_places.len(), new_places.len())?;
    for fate in fates {
        let (mark, line) = match fate {
            Fate::Kept(a, _) => (' ', old.get(*a)),
            Fate::Gone(a) => ('-', old.get(*a)),
            Fate::Come(b) => ('+', new.get(*b)),
        };
        writeln!(to, "{mark}{}", line.copied().unwrap_or_default())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(old: &str, new: &str) -> String {
        unified(("running", old), ("file", new))
    }

    #[test]
    fn equal_texts_have_no_difference() {
        assert_eq!(of("a\nb\n", "a\nb\n"), "");
    }

    #[test]
    fn a_changed_line_stands_between_its_neighbours() {
        let old = "1\n2\n3\n4\n5\n6\n7\n8\n9\n";
        let new = old.replace('5', "five");
        assert_eq!(of(old, &new), "--- running\n+++ file\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n");
    }

    #[test]
    fn what_comes_and_goes_is_told_apart() {
        assert_eq!(of("a\nb\nc\n", "a\nc\nd\n"), "--- running\n+++ file\n@@ -1,3 +1,3 @@\n a\n-b\n c\n+d\n");
        assert_eq!(of("", "a\n"), "--- running\n+++ file\n@@ -0,0 +1,1 @@\n+a\n");
        assert_eq!(of("a\n", ""), "--- running\n+++ file\n@@ -1,1 +0,0 @@\n-a\n");
    }

    #[test]
    fn changes_far_apart_have_a_hunk_each() {
        let old: String = (0..40).map(|at| format!("line {at}\n")).collect();
        let new = old.replace("line 5\n", "five\n").replace("line 30\n", "");
        assert_eq!(of(&old, &new).matches("@@ -").count(), 2);
    }

    #[test]
    fn what_is_too_long_to_compare_is_shown_whole() {
        let many = |word: &str| (0..5000).map(|at| format!("{word} {at}\n")).collect::<String>();
        let text = of(&many("old"), &many("new"));
        assert_eq!(text.lines().filter(|line| line.starts_with('+')).count(), 5001);
    }
}
