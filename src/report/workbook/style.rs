//! The looks of cells.

use rust_xlsxwriter::{
    ConditionalFormatCell, ConditionalFormatCellRule, Format, FormatAlign, Worksheet, XlsxError,
};

/// The formats of a workbook.
pub struct Styles {
    /// The first row.
    pub head: Format,
    /// Text and numbers.
    pub plain: Format,
    /// An amount of dollars.
    pub dollars: Format,
    /// A moment in UTC.
    pub moment: Format,
    /// A day.
    pub day: Format,
    /// A link.
    pub link: Format,
}

impl Styles {
    /// The formats; text wraps and begins at the top of its cell.
    pub fn new() -> Self {
        let plain = Format::new().set_text_wrap().set_align(FormatAlign::Top);
        let number = |format: &str| plain.clone().set_num_format(format);
        Self {
            head: plain.clone().set_bold().set_background_color(0x00E7_EAEE),
            dollars: number("0.0000"),
            moment: number("yyyy-mm-dd hh:mm:ss.000\"Z\""),
            day: number("yyyy-mm-dd"),
            link: plain.clone().set_hyperlink(),
            plain,
        }
    }
}

/// Texts with a meaning: background and letters.
const COLOURS: [(&[&str], u32, u32); 4] = [
    (
        &["completed", "accepted", "agree"],
        0x00D9_F2E0,
        0x001B_5E33,
    ),
    (
        &["failed", "rejected", "blocked", "disagree"],
        0x00FB_DCDC,
        0x0099_1B1B,
    ),
    (
        &["running", "retry", "in_progress", "plan_conflict"],
        0x00FF_EFC6,
        0x007A_4E00,
    ),
    (&["pending", "absent"], 0x00EC_EDEF, 0x004A_4F57),
];

/// Colours the cells of a column by their text.
pub fn colour(sheet: &mut Worksheet, column: u16, last_row: u32) -> Result<(), XlsxError> {
    for (words, background, letters) in COLOURS {
        let format = Format::new()
            .set_background_color(background)
            .set_font_color(letters);
        for word in words {
            let rule = ConditionalFormatCell::new()
                .set_rule(ConditionalFormatCellRule::EqualTo(*word))
                .set_format(format.clone());
            sheet.add_conditional_format(1, column, last_row, column, &rule)?;
        }
    }
    Ok(())
}
