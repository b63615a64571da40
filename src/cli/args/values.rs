//! Values of options that need a look of their own.

pub fn at_least_one(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(0) => Err("must be at least 1".to_owned()),
        Ok(number) => Ok(number),
        Err(_) => Err("must be a whole number".to_owned()),
    }
}

pub fn dollars(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(dollars) if dollars.is_finite() && dollars > 0.0 => Ok(dollars),
        _ => Err("must be a number of dollars above 0".to_owned()),
    }
}

pub fn one_byte(text: &str) -> Result<char, String> {
    let text = if text == "\\t" { "\t" } else { text };
    match text.as_bytes() {
        [byte] if byte.is_ascii() && !b"\"\r\n".contains(byte) => Ok(char::from(*byte)),
        _ => Err("must be one ASCII character (\\t for a tab)".to_owned()),
    }
}

pub fn variable(text: &str) -> Result<String, String> {
    match text {
        "" => Err("must be the name of a variable".to_owned()),
        text if text.contains('=') => {
            Err("must be a name alone; the value comes from the environment".to_owned())
        }
        text => Ok(text.to_owned()),
    }
}

pub fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((old, new)) if !new.is_empty() => Ok((old.to_owned(), new.to_owned())),
        _ => Err("must be OLD=NEW".to_owned()),
    }
}
