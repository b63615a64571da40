use super::*;
use error::TableError;
use reader::{Mark, ReadOptions, Reader};
use writer::Writer;

type Table = (Vec<String>, Vec<Vec<String>>);

fn read(content: &[u8]) -> Result<Table, TableError> {
    read_with(content, &ReadOptions::default())
}

fn read_as(encoding: &str, content: &[u8]) -> Result<Table, TableError> {
    let options = ReadOptions {
        encoding: Some(encoding_named(encoding).expect("an encoding")),
        ..ReadOptions::default()
    };
    read_with(content, &options)
}

fn read_with(content: &[u8], options: &ReadOptions) -> Result<Table, TableError> {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("t.csv");
    std::fs::write(&path, content).expect("written");
    let mut reader = Reader::open(&path, &path, options)?;
    let mut rows = Vec::new();
    while let Some(row) = reader.next_row()? {
        rows.push(row);
    }
    Ok((reader.header().to_vec(), rows))
}

fn refusal(content: &[u8]) -> String {
    let message = read(content).expect_err("refused").to_string();
    message[message.rfind("t.csv`").map_or(0, |at| at + 6)..].to_owned()
}

#[test]
fn marks_crlf_empty_lines_and_quoted_breaks_are_read() {
    let (header, rows) = read(b"\xEF\xBB\xBFid,t\r\n1,\"a\nb\"\r\n\r\n,\r\n2,c\r\n").expect("read");
    assert_eq!(header, ["id", "t"]);
    assert_eq!(rows, [["1", "a\nb"], ["2", "c"]]);
}

#[test]
fn a_reader_continues_at_the_mark_of_a_row_as_if_it_had_read_those_before() {
    let tables: [&[u8]; 4] = [
        b"a,b\n1,2\n3,4\n5,6",
        b"\xEF\xBB\xBFa,b\r\n1,\"x\r\ny\"\r\n\r\n,\r\n2,z\r\n",
        b"sep=;\na;b\n1;\"2;\n\"\n\n\n3;4\n",
        b"a,b\n\"\"\"1\"\"\",2\n3,\"\n\n4\"\n5,6\n",
    ];
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("t.csv");
    let open = || Reader::open(&path, &path, &ReadOptions::default()).expect("a table");
    let next = |reader: &mut Reader| {
        let row = reader.next_row().expect("read");
        row.map(|row| (row, reader.line(), reader.mark().expect("a mark")))
    };
    for bytes in tables {
        std::fs::write(&path, bytes).expect("written");
        let mut reader = open();
        let rows: Vec<_> = std::iter::from_fn(|| next(&mut reader)).collect();
        assert!(rows.len() >= 2);
        for (at, (_, _, mark)) in rows.iter().enumerate() {
            let mut reader = open();
            assert!(reader.seek(*mark).expect("readable"));
            let rest: Vec<_> = std::iter::from_fn(|| next(&mut reader)).collect();
            assert_eq!(rest, rows[at..], "{}", String::from_utf8_lossy(bytes));
        }
        // A place within a row, and one where another row begins.
        let last = rows[rows.len() - 1].2;
        for offset in [last.offset + 1, rows[0].2.offset, 1000] {
            let other = Mark { offset, ..last };
            assert!(!open().seek(other).expect("readable"), "{offset}");
        }
    }
}

/// The parser would drop the mark: that of a second file, if two were joined.
#[test]
fn no_reader_continues_at_a_row_that_begins_with_a_byte_order_mark() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("t.csv");
    std::fs::write(&path, "a,b\n\u{feff}a,b\n1,2\n").expect("written");
    let open = || Reader::open(&path, &path, &ReadOptions::default()).expect("a table");
    let mut reader = open();
    for (cell, continues) in [("\u{feff}a", false), ("1", true)] {
        assert_eq!(reader.next_row().expect("read").expect("a row")[0], cell);
        let mark = reader.mark().expect("a mark");
        assert_eq!(open().seek(mark).expect("readable"), continues);
    }
}

#[test]
fn errors_name_line_and_column() {
    assert_eq!(
        refusal(b""),
        ", line 1: the file is empty; a CSV needs a header row"
    );
    assert_eq!(
        refusal(b"id,mock\n1,ok\n2,ok,extra\n"),
        ", line 3, column 3: row 2 has 3 fields but the header has 2"
    );
    assert_eq!(
        refusal(b"id,mock\n1,ok\n2\n"),
        ", line 3, column 2: row 2 has 1 field but the header has 2"
    );
    assert_eq!(
        refusal(b"id,m\r\n1,a\r\n\r\n\r\n2\r\n"),
        ", line 5, column 2: row 2 has 1 field but the header has 2"
    );
    assert_eq!(
        refusal(b"id,id,mock\n"),
        ", line 1, column 2: header `id` appears twice (first as column 1)"
    );
    assert_eq!(
        refusal(b"id,t\n1,caf\xE9\n"),
        ", line 2, column 2: not valid UTF-8 (byte 0xE9)"
    );
}

#[test]
fn a_quote_after_a_backslash_that_closes_its_field_early_is_refused() {
    for cell in [
        r#""say \"so\"""#,
        r#""{\"a\":1, \"b\":2}""#,
        r#""\"so\", she said""#,
    ] {
        assert_eq!(
            refusal(format!("id,text\n1,x\n2,{cell}\n").as_bytes()),
            ", line 3, column 2: the quote that is opened here is closed after a backslash, in the middle of a field; CSV has no backslash escapes",
            "{cell}"
        );
    }
    let (_, rows) = read(
        br#"id,text
1,"C:\dir\"
"C:\",\"x\"
"#,
    )
    .expect("no escapes");
    assert_eq!(rows, [["1", r"C:\dir\"], [r"C:\", r#"\"x\""#]]);
}

#[test]
fn a_quote_that_encloses_other_rows_is_refused_where_it_opens() {
    for content in [
        "path,topic\na.rs,\"x\nb.rs,y\nc.rs,z\n",
        "path,topic\na.rs,\"x\nb.rs,y",
        "path,topic\na.rs,\"x",
        "path,topic\r\na.rs,\"x\r\nb.rs,y\r\n",
    ] {
        assert_eq!(
            refusal(content.as_bytes()),
            ", line 2, column 2: the quote that is opened here is never closed",
            "{content}"
        );
    }
    assert_eq!(
        refusal(b"path,\"topic\na.rs,x\n"),
        ", line 1, column 2: the quote that is opened here is never closed"
    );
    assert_eq!(
        refusal(b"path,topic\n\nz,z\na.rs,\"x\nb.rs,\"y\"\nc.rs,z\n"),
        ", line 4, column 2: the quote that is opened here is closed on a later line, in the middle of a field"
    );
    assert_eq!(
        refusal(b"path,topic\na.rs,\"x\nb.rs,y\",z\n"),
        ", line 2, column 3: row 1 has 3 fields but the header has 2; the quote that is opened on line 2 reaches over several lines"
    );
}

#[test]
fn closed_quotes_and_quotes_as_text_are_accepted() {
    let content = b"a,b\n5\" pipe, \"x\n\"a\"b,\"c \"\"d\"\"\n\n, e\"\n\"\",\"z\"";
    let (_, rows) = read(content).expect("read");
    assert_eq!(
        rows,
        [["5\" pipe", " \"x"], ["ab", "c \"d\"\n\n, e"], ["", "z"]]
    );
}

#[test]
fn the_encoding_follows_from_the_mark_or_the_option() {
    let utf16 = |order: fn(u16) -> [u8; 2], text: &str| -> Vec<u8> {
        text.encode_utf16().flat_map(order).collect()
    };
    let text = "a,b\r\n1,\u{e4}\u{1f600}\r\n";
    let rows = [["1".to_owned(), "\u{e4}\u{1f600}".to_owned()]];
    for order in [u16::to_le_bytes, u16::to_be_bytes] {
        let marked = utf16(order, &format!("\u{feff}{text}"));
        assert_eq!(read(&marked).expect("read").1, rows);
        let bare = utf16(order, text);
        let message = refusal(&bare);
        assert!(message.contains("without a byte-order mark"), "{message}");
        assert_eq!(read_as("utf-16", &bare).expect("read").1, rows);
    }
    let cp1252 = b"a,b\n1,caf\xE9 \x80\n";
    assert_eq!(
        read_as("cp1252", cp1252).expect("read").1,
        [["1", "caf\u{e9} \u{20ac}"]]
    );
    for (name, bytes) in [
        ("windows-1252", b"a,b\n1,x\n2,\x81\n".as_slice()),
        ("shift_jis", b"a,b\n1,x\n2,\x81\x00\n"),
        ("utf-16le", b"a\0,\0b\0\n\0x\0,\0y\0\n\0\x00\xd8x\0"),
    ] {
        let message = read_as(name, bytes).expect_err(name).to_string();
        assert!(
            message.contains(", line 3: holds bytes that are no character in "),
            "{message}"
        );
    }
}

#[test]
fn line_numbers_are_right_across_decoded_chunks() {
    let mut bytes = b"a,b\n".to_vec();
    for _ in 0..40_000 {
        bytes.extend_from_slice(b"\xE9,\"x\n\xE9\"\n");
    }
    let (_, rows) = read_as("latin-1", &bytes).expect("read");
    assert_eq!(rows.len(), 40_000);
    assert!(rows.iter().all(|row| *row == ["\u{e9}", "x\n\u{e9}"]));
    bytes.extend_from_slice(b"1\n");
    let message = read_as("latin1", &bytes).expect_err("ragged").to_string();
    assert!(
        message.contains("line 80002, column 2: row 40001"),
        "{message}"
    );
}

#[test]
fn a_first_line_may_name_the_delimiter() {
    for content in [
        "sep=;\r\na;b\r\n1,5;2\r\n",
        "\u{feff}sep=;\na;b\n1,5;2\n",
        "\"sep=;\"\na;b\n1,5;2\n",
        "SEP=;\na;b\n1,5;2\n",
        "sep=;;;\na;b\n1,5;2\n",
        "\"sep=;\";\t \r\na;b\n1,5;2\n",
        &format!("sep=;{}\na;b\n1,5;2\n", ";".repeat(900)),
    ] {
        let (header, rows) = read(content.as_bytes()).expect(content);
        assert_eq!(
            (header, rows),
            (
                vec!["a".to_owned(), "b".to_owned()],
                vec![vec!["1,5".to_owned(), "2".to_owned()]]
            ),
            "{content}"
        );
    }
    assert_eq!(
        refusal(b"sep=;\na;b\n1\n"),
        ", line 3, column 2: row 1 has 1 field but the header has 2"
    );
    assert!(refusal(b"sep=;\n").contains("the file is empty"));
    assert_eq!(read(b"sep=,x\n1,2\n").expect("a header").0, ["sep=", "x"]);
    // Cut in two, it would be a header of its own.
    let long = format!("sep=,{}\n", ",".repeat(5000));
    assert!(refusal(long.as_bytes()).contains("appears twice"));
}

#[test]
fn quotes_only_where_needed() {
    let mut bytes = Vec::new();
    let mut writer = Writer::new(&mut bytes, ["a", "b"]).expect("header");
    writer.row(["x y", "1,2"]).expect("row");
    writer.row(["say \"hi\"", "a\r\nb"]).expect("row");
    writer.finish().expect("flushed");
    assert_eq!(
        String::from_utf8(bytes).expect("text"),
        "a,b\nx y,\"1,2\"\n\"say \"\"hi\"\"\",\"a\r\nb\"\n"
    );
}
