//! What each format demands, whoever wrote the text: one check for each, which knows nothing of how the program writes it.

mod json;
mod markdown;
mod markup;
mod places;
mod tables;
mod terminal;

pub use json::{json_is_valid, ledger_has_a_record_a_line, printed_json_is_tame};
pub use markdown::markdown_has_only_our_markup;
pub use markup::{html_has_no_foreign_element, list_has_no_foreign_element, xml_is_well_formed};
pub use places::{
    assert_names_are_plain, candidates_are_words, commit_has_only_our_trailers, script_has_no_text,
};
pub use tables::{
    output_csv_is_inert, rows_are_whole, table_of_results_is_inert, workbook_is_inert,
};
pub use terminal::{printed_on_a_terminal_is_tame, terminal_is_tame};
