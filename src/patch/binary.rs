//! The size of the result of a binary block, without unpacking it: one kilobyte may expand to gigabytes.
//!
//! The header of a `literal` has the size of the content, which git enforces. The header of a `delta` has only the size of the
//! instructions; the size of the result is at their beginning, under base 85 and zlib. Only that part is unpacked.

use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};

/// Git's digits of base 85.
const DIGITS: &[u8; 85] =
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~";
/// The tables of a compressed block need fewer lines than this.
const LINES_MAX: usize = 64;

/// Sizes in bytes, as a block declares them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sizes {
    /// The size in the header: of the content, or of the instructions.
    pub unpacked: u64,
    /// Size of the file that a delta is based on, which git checks first.
    pub source: u64,
    /// Size of the result.
    pub result: u64,
}

/// The sizes of a block, whose first line is the header; `None` if it does not decode.
pub(super) fn sizes(block: &[String]) -> Option<Sizes> {
    let (kind, size) = block.first()?.split_once(' ')?;
    let unpacked = size.parse().ok()?;
    if kind == "literal" {
        return Some(Sizes {
            unpacked,
            source: 0,
            result: unpacked,
        });
    }
    let mut packed = Vec::new();
    for line in block.iter().skip(1).take(LINES_MAX) {
        packed.extend(decoded(line.as_bytes())?);
    }
    // Two numbers of at most ten bytes.
    let mut start = [0; 20];
    let flags = inflate_flags::TINFL_FLAG_PARSE_ZLIB_HEADER
        | inflate_flags::TINFL_FLAG_HAS_MORE_INPUT
        | inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
    let mut inflater = Box::<DecompressorOxide>::default();
    let (_, _, written) = decompress(&mut inflater, &packed, &mut start, 0, flags);
    let mut rest = &start[..written];
    let (source, result) = (number(&mut rest)?, number(&mut rest)?);
    Some(Sizes {
        unpacked,
        source,
        result,
    })
}

/// Decodes one line: its length, then groups of five digits for four bytes.
fn decoded(line: &[u8]) -> Option<Vec<u8>> {
    let (length, digits) = line.split_first()?;
    let length = match length {
        b'A'..=b'Z' => length - b'A' + 1,
        b'a'..=b'z' => length - b'a' + 27,
        _ => return None,
    };
    let mut bytes = Vec::new();
    for group in digits.chunks(5) {
        let mut value: u32 = 0;
        for digit in group {
            let digit = DIGITS.iter().position(|known| known == digit)?;
            value = value
                .checked_mul(85)?
                .checked_add(u32::try_from(digit).ok()?)?;
        }
        bytes.extend((group.len() == 5).then(|| value.to_be_bytes())?);
    }
    bytes.truncate(usize::from(length));
    Some(bytes)
}

/// Decodes a number: seven bits a byte, the lowest first.
fn number(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let part = u64::from(byte & 0x7f);
        value |= part
            .checked_shl(shift)
            .filter(|moved| moved >> shift == part)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sizes_of_a_block_are_those_it_declares() {
        let block = |lines: &[&str]| -> Vec<String> {
            lines.iter().map(|line| (*line).to_owned()).collect()
        };
        let literal = sizes(&block(&["literal 3", "KcmZQzWC8#H2LJ>B"]));
        assert_eq!(literal.map(|sizes| sizes.result), Some(3));
        for broken in [
            block(&["delta 3"]),
            block(&["delta x", "KcmZQzWC8#H2LJ>B"]),
            block(&["delta 3", "\u{7f}cmZQzWC8#H2LJ>B"]),
            block(&["delta 3", "Kcm\"QzWC8#H2LJ>B"]),
            block(&["delta 3", "K~~~~~~~~~~"]),
            block(&["delta 3", "KcmZ"]),
        ] {
            assert_eq!(sizes(&broken), None, "{broken:?}");
        }
    }
}
