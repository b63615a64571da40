//! Columns of text that fit a width: what is too long is cut, the widest column first.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Between two columns.
const GAP: &str = "  ";
/// No column is made narrower than this.
const WIDTH_MIN: usize = 6;

/// The widths of columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grid {
    widths: Vec<usize>,
    right: Vec<bool>,
}

impl Grid {
    /// The grid of `rows`, titles included, in at most `width` columns of a terminal; `right` are aligned to the right.
    pub fn fit(rows: &[Vec<String>], right: Vec<bool>, width: Option<usize>) -> Self {
        let mut widths = vec![0; right.len()];
        for row in rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.width());
            }
        }
        if let Some(width) = width {
            let gaps = GAP.len() * widths.len().saturating_sub(1);
            narrow(&mut widths, width.saturating_sub(gaps));
        }
        Self { widths, right }
    }

    /// The cells of a row, cut and padded; the last one is not padded.
    pub fn cells(&self, row: &[String]) -> Vec<String> {
        let last = row.len().saturating_sub(1);
        let cells = row.iter().enumerate();
        let padded = cells.map(|(at, cell)| {
            let cell = cut(cell, self.widths[at]);
            let blanks = " ".repeat(self.widths[at].saturating_sub(cell.width()));
            match (self.right[at], at == last) {
                (true, _) => blanks + &cell,
                (false, true) => cell,
                (false, false) => cell + &blanks,
            }
        });
        padded.collect()
    }

    /// The line of cells.
    pub fn line(cells: &[String]) -> String {
        cells.join(GAP)
    }
}

/// Takes from the widest column until the sum fits.
fn narrow(widths: &mut [usize], available: usize) {
    loop {
        let excess = widths.iter().sum::<usize>().saturating_sub(available);
        let widest = widths.iter().copied().max().unwrap_or_default();
        if excess == 0 || widest <= WIDTH_MIN {
            return;
        }
        let next = widths.iter().copied().filter(|width| *width < widest).max();
        let step = (widest - next.unwrap_or(0))
            .min(excess)
            .min(widest - WIDTH_MIN);
        if let Some(width) = widths.iter_mut().rev().find(|width| **width == widest) {
            *width -= step.max(1);
        }
    }
}

/// The text in at most `width` columns, with `…` where it is cut.
pub fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut left = width.saturating_sub(1);
    let mut cut = String::new();
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        if wide > left {
            break;
        }
        left -= wide;
        cut.push(c);
    }
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[&str]) -> Vec<String> {
        cells.iter().map(|cell| (*cell).to_owned()).collect()
    }

    #[test]
    fn the_widest_columns_are_cut_until_all_fit() {
        let rows = [
            row(&["id", "n", "what"]),
            row(&["row-1", "12", "a text that is much too long"]),
        ];
        let wide = Grid::fit(&rows, vec![false, true, false], None);
        assert_eq!(
            Grid::line(&wide.cells(&rows[1])),
            "row-1  12  a text that is much too long"
        );
        assert_eq!(Grid::line(&wide.cells(&rows[0])), "id      n  what");
        let fitted = Grid::fit(&rows, vec![false, true, false], Some(24));
        assert_eq!(
            Grid::line(&fitted.cells(&rows[1])),
            "row-1  12  a text that …"
        );
        let tiny = Grid::fit(&rows, vec![false, true, false], Some(1));
        assert_eq!(Grid::line(&tiny.cells(&rows[1])), "row-1  12  a tex…");
    }

    #[test]
    fn wide_characters_take_two_columns() {
        assert_eq!(cut("日本語テキスト", 6), "日本…");
        assert_eq!(cut("日本語", 6), "日本語");
        assert_eq!(cut("e\u{301}e\u{301}", 2), "e\u{301}e\u{301}");
    }
}
