//! Finds the place of a hunk: the line in its header if its old lines are there, or else the only place where they are. Removed
//! lines must match byte for byte.

use super::hunk::{Hunk, Line, Mark, Stated};
use super::lines::{File, LineMatch, SearchBudget, without_blanks};

/// Limit of the places that are searched.
pub(super) const PLACES_MAX: usize = 1000;

/// The place of a hunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The first old line, counted from 0; without old lines, the line before which the hunk goes.
    pub at: usize,
    pub likeness: LineMatch,
    /// The header has another line.
    pub is_moved: bool,
}

/// Why a hunk has no place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoPlace {
    /// The old lines are not in the file.
    Differs,
    /// They are at several places, counted from 0.
    Several { places: Vec<usize> },
    /// No place is after the headings.
    NotAfterHeading { heading: String },
    /// They are in the file, but not at its end, as `*** End of File` says.
    NotAtEnd { at: usize },
    /// `@@ -0,0`, and the file has content.
    Exists,
    /// There are no old lines and no line number.
    Unanchored,
    /// It adds lines after line `behind`, which the file does not have.
    PastEnd { behind: u32 },
    /// The two line numbers of an insertion contradict each other.
    Contradiction,
    /// The search exceeds the limit.
    TooLarge,
}

/// Finds the place of `hunk` in `file`. `shift` is the number of lines that the hunks above add.
pub(super) fn place_hunk(
    hunk: &Hunk,
    file: &mut File<'_>,
    shift: i64,
    work: &mut SearchBudget,
) -> Result<Place, NoPlace> {
    let old = old_lines(hunk);
    if old.is_empty() {
        return place_insertion(hunk, file, shift);
    }
    let stated = stated_line(hunk);
    let stands = stated.and_then(|at| Some((at, file.match_at(&old, at)?)));
    if let Some((at, LineMatch::Exact)) = stands {
        return Ok(Place {
            at,
            likeness: LineMatch::Exact,
            is_moved: false,
        });
    }
    let all = find_places(&old, file, work).ok_or(NoPlace::TooLarge)?;
    let left = narrow_places(all, hunk, old.len(), file, work)?;
    match left.as_slice() {
        [] => Err(NoPlace::Differs),
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
                    Err(NoPlace::Several { places })
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
pub(super) fn stated_line(hunk: &Hunk) -> Option<usize> {
    match hunk.stated {
        Stated::Line { .. } => (hunk.old_start as usize).checked_sub(1),
        Stated::Unnumbered { .. } => None,
    }
}

fn place_insertion(hunk: &Hunk, file: &File<'_>, shift: i64) -> Result<Place, NoPlace> {
    let length = file.lines.len();
    let found = |at: usize| {
        Ok(Place {
            at,
            likeness: LineMatch::Exact,
            is_moved: false,
        })
    };
    match hunk.stated {
        _ if length == 0 && hunk.old_start == 0 => found(0),
        Stated::Unnumbered { at_end: true, .. } => found(length),
        Stated::Line { is_insertion: true } if hunk.old_start == 0 => Err(NoPlace::Exists),
        Stated::Line { is_insertion: true } => {
            let behind = hunk.old_start as usize;
            let next = i64::from(hunk.old_start) + 1;
            let new = i64::from(hunk.new_start);
            if behind > length {
                Err(NoPlace::PastEnd {
                    behind: hunk.old_start,
                })
            } else if new != next && new != next + shift {
                Err(NoPlace::Contradiction)
            } else {
                found(behind)
            }
        }
        Stated::Unnumbered { .. } | Stated::Line { .. } => Err(NoPlace::Unanchored),
    }
}

/// All places where the lines `old` are, up to the limit; `None` if the search takes too long.
pub(super) fn find_places(
    old: &[&Line],
    file: &mut File<'_>,
    work: &mut SearchBudget,
) -> Option<Vec<(usize, LineMatch)>> {
    // The rarest line gives the fewest candidates.
    let mut rarest: Option<(usize, usize)> = None;
    for (index, line) in old.iter().enumerate() {
        let count = file.find_line(&line.text, work)?.len();
        if rarest.is_none_or(|(_, fewest)| count < fewest) {
            rarest = Some((index, count));
        }
        if count == 0 {
            return Some(Vec::new());
        }
    }
    let (index, count) = rarest?;
    work.take(count)?;
    let starts = file.find_line(&old[index].text, work)?;
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
        places.extend(file.match_at(old, at).map(|likeness| (at, likeness)));
        if places.len() > PLACES_MAX {
            break;
        }
    }
    Some(places)
}

/// The places that agree with the headings and the `*** End of File` of the hunk.
fn narrow_places(
    places: Vec<(usize, LineMatch)>,
    hunk: &Hunk,
    length: usize,
    file: &mut File<'_>,
    work: &mut SearchBudget,
) -> Result<Vec<(usize, LineMatch)>, NoPlace> {
    let Stated::Unnumbered {
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
            return Err(NoPlace::NotAtEnd { at: first });
        }
    }
    if left.is_empty() || (left.len() == 1 && !is_strict) || headings.is_empty() {
        return Ok(left);
    }
    match find_headings(headings, file, work) {
        Ok(from) => {
            let is_behind = |(at, _): &(usize, LineMatch)| *at >= from;
            match left.iter().any(is_behind) {
                true => left.retain(is_behind),
                false if *is_strict => {
                    let heading = headings.last().cloned().unwrap_or_default();
                    return Err(NoPlace::NotAfterHeading { heading });
                }
                false => {}
            }
            Ok(left)
        }
        Err(heading) if *is_strict => Err(NoPlace::NotAfterHeading { heading }),
        Err(_) => Ok(left),
    }
}

/// The line after the first occurrence of all `headings` in order, counted from 0; `Err` is the heading that does not occur.
fn find_headings(
    headings: &[String],
    file: &File<'_>,
    work: &mut SearchBudget,
) -> Result<usize, String> {
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
