//! Finds the place of a hunk: the line in its header if its old lines are there, or else the only place where they are. Removed
//! lines must match byte for byte.

use super::hunk::{Hunk, Line, Mark, Stated};
use super::lines::{File, Likeness, Work, without_blanks};

/// Limit of the places that are searched.
pub(super) const PLACES_MAX: usize = 1000;

/// The place of a hunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The first old line, counted from 0; without old lines, the line before which the hunk goes.
    pub at: usize,
    pub likeness: Likeness,
    /// The header has another line.
    pub is_moved: bool,
}

/// Why a hunk has no place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Nowhere {
    /// The old lines are not in the file.
    Differs,
    /// They are at several places, counted from 0.
    Several { places: Vec<usize> },
    /// No place is after the headings.
    NotBehind { heading: String },
    /// They are in the file, but not at its end, as `*** End of File` says.
    NotAtEnd { at: usize },
    /// `@@ -0,0`, and the file has content.
    Exists,
    /// There are no old lines and no line number.
    Unanchored,
    /// It adds lines after line `behind`, which the file does not have.
    BehindEnd { behind: u32 },
    /// The two line numbers of an insertion contradict each other.
    Contradiction,
    /// The search exceeds the limit.
    TooLarge,
}

/// Finds the place of `hunk` in `file`. `shift` is the number of lines that the hunks above add.
pub(super) fn place(
    hunk: &Hunk,
    file: &mut File<'_>,
    shift: i64,
    work: &mut Work,
) -> Result<Place, Nowhere> {
    let old = old_lines(hunk);
    if old.is_empty() {
        return insertion(hunk, file, shift);
    }
    let stated = stated(hunk);
    let stands = stated.and_then(|at| Some((at, file.fits(&old, at)?)));
    if let Some((at, Likeness::Exact)) = stands {
        return Ok(Place {
            at,
            likeness: Likeness::Exact,
            is_moved: false,
        });
    }
    let all = search(&old, file, work).ok_or(Nowhere::TooLarge)?;
    let left = narrowed(all, hunk, old.len(), file, work)?;
    match left.as_slice() {
        [] => Err(Nowhere::Differs),
        [(at, likeness)] => Ok(Place {
            at: *at,
            likeness: *likeness,
            is_moved: stated.is_some() && stated != Some(*at),
        }),
        several => {
            let best = several.iter().map(|(_, likeness)| *likeness).min();
            match stands.filter(|(_, likeness)| Some(*likeness) == best) {
                Some((at, likeness)) => Ok(Place {
                    at,
                    likeness,
                    is_moved: false,
                }),
                None => {
                    let places = several.iter().map(|(at, _)| *at).collect();
                    Err(Nowhere::Several { places })
                }
            }
        }
    }
}

pub(super) fn old_lines(hunk: &Hunk) -> Vec<&Line> {
    let lines = hunk.lines.iter();
    lines.filter(|line| line.mark != Mark::Added).collect()
}

/// The line number in the header, counted from 0.
pub(super) fn stated(hunk: &Hunk) -> Option<usize> {
    match hunk.stated {
        Stated::Line { .. } => (hunk.old_start as usize).checked_sub(1),
        Stated::Nowhere { .. } => None,
    }
}

fn insertion(hunk: &Hunk, file: &File<'_>, shift: i64) -> Result<Place, Nowhere> {
    let length = file.lines.len();
    let found = |at: usize| {
        Ok(Place {
            at,
            likeness: Likeness::Exact,
            is_moved: false,
        })
    };
    match hunk.stated {
        _ if length == 0 && hunk.old_start == 0 => found(0),
        Stated::Nowhere { at_end: true, .. } => found(length),
        Stated::Line { is_insertion: true } if hunk.old_start == 0 => Err(Nowhere::Exists),
        Stated::Line { is_insertion: true } => {
            let behind = hunk.old_start as usize;
            let next = i64::from(hunk.old_start) + 1;
            let new = i64::from(hunk.new_start);
            if behind > length {
                Err(Nowhere::BehindEnd {
                    behind: hunk.old_start,
                })
            } else if new != next && new != next + shift {
                Err(Nowhere::Contradiction)
            } else {
                found(behind)
            }
        }
        Stated::Nowhere { .. } | Stated::Line { .. } => Err(Nowhere::Unanchored),
    }
}

/// All places where the lines `old` are, up to the limit; `None` if the search takes too long.
pub(super) fn search(
    old: &[&Line],
    file: &mut File<'_>,
    work: &mut Work,
) -> Option<Vec<(usize, Likeness)>> {
    // The rarest line gives the fewest candidates.
    let mut rarest: Option<(usize, usize)> = None;
    for (index, line) in old.iter().enumerate() {
        let count = file.standing(&line.text, work)?.len();
        if rarest.is_none_or(|(_, fewest)| count < fewest) {
            rarest = Some((index, count));
        }
        if count == 0 {
            return Some(Vec::new());
        }
    }
    let (index, count) = rarest?;
    work.take(count)?;
    let starts = file.standing(&old[index].text, work)?;
    let starts: Vec<usize> = starts
        .iter()
        .filter_map(|at| (*at as usize).checked_sub(index))
        .collect();
    let mut places = Vec::new();
    for at in starts {
        let here = file.lines.get(at..).unwrap_or_default();
        let same = old
            .iter()
            .zip(here)
            .take_while(|(line, there)| without_blanks(&line.text) == without_blanks(there.text));
        work.take(1 + same.count())?;
        places.extend(file.fits(old, at).map(|likeness| (at, likeness)));
        if places.len() > PLACES_MAX {
            break;
        }
    }
    Some(places)
}

/// The places that agree with the headings and the `*** End of File` of the hunk.
fn narrowed(
    places: Vec<(usize, Likeness)>,
    hunk: &Hunk,
    length: usize,
    file: &mut File<'_>,
    work: &mut Work,
) -> Result<Vec<(usize, Likeness)>, Nowhere> {
    let Stated::Nowhere {
        headings,
        is_strict,
        at_end,
    } = &hunk.stated
    else {
        return Ok(places);
    };
    let mut left = places;
    if *at_end && let Some((first, _)) = left.first().copied() {
        let end = file.lines.len();
        left.retain(|(at, _)| at + length == end);
        if left.is_empty() {
            return Err(Nowhere::NotAtEnd { at: first });
        }
    }
    if left.is_empty() || (left.len() == 1 && !is_strict) || headings.is_empty() {
        return Ok(left);
    }
    match behind(headings, file, work) {
        Ok(from) => {
            let is_behind = |(at, _): &(usize, Likeness)| *at >= from;
            match left.iter().any(is_behind) {
                true => left.retain(is_behind),
                false if *is_strict => {
                    let heading = headings.last().cloned().unwrap_or_default();
                    return Err(Nowhere::NotBehind { heading });
                }
                false => {}
            }
            Ok(left)
        }
        Err(heading) if *is_strict => Err(Nowhere::NotBehind { heading }),
        Err(_) => Ok(left),
    }
}

/// The line after the first occurrence of all `headings` in order, counted from 0; `Err` is the heading that does not occur.
fn behind(headings: &[String], file: &File<'_>, work: &mut Work) -> Result<usize, String> {
    let mut from = 0;
    for heading in headings {
        let text = heading.trim().as_bytes();
        let mut ahead = file.lines[from..].iter();
        let found = ahead.position(|line| line.text.trim_ascii() == text);
        work.take(found.unwrap_or(file.lines.len() - from))
            .and(found)
            .map(|found| from += found + 1)
            .ok_or_else(|| heading.clone())?;
    }
    Ok(from)
}
