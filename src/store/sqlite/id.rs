//! Ids as they are kept: half as long, where they end in a uuid as ours do.

use rusqlite::types::{FromSql, FromSqlResult, ToSqlOutput, ValueRef};
use rusqlite::{Result, ToSql};

/// An id to be kept: a uuid at its end as 16 bytes, followed by what stands before it; any other as its text.
pub struct Id<'a>(pub &'a str);

/// An id that was kept.
pub struct Kept(pub String);

const DIGITS: usize = 32;

impl ToSql for Id<'_> {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        Ok(match packed(self.0) {
            Some(bytes) => bytes.into(),
            None => self.0.into(),
        })
    }
}

fn packed(id: &str) -> Option<Vec<u8>> {
    let (before, digits) = id.split_at_checked(id.len().checked_sub(DIGITS)?)?;
    // What would come back in small letters stays as it is.
    let mut bytes = hex::decode(digits).ok().filter(|_| !digits.bytes().any(|byte| byte.is_ascii_uppercase()))?;
    bytes.extend_from_slice(before.as_bytes());
    Some(bytes)
}

impl FromSql for Kept {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let ValueRef::Blob(bytes) = value else { return value.as_str().map(|text| Self(text.to_owned())) };
        let (uuid, before) = bytes.split_at(bytes.len().min(DIGITS / 2));
        Ok(Self(String::from_utf8_lossy(before).into_owned() + &hex::encode(uuid)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_comes_back_and_ours_are_short() {
        let digits = "0192f3a4b5c6d7e80192f3a4b5c6d7e8";
        let ids = [
            (format!("resp_{digits}"), 21),
            (digits.to_owned(), 16),
            (format!("resp_{}", digits.to_uppercase()), 37),
            (format!("é{}", &digits[1..]), 33),
            (format!("resp_{digits}0"), 22),
            ("resp_1".to_owned(), 6),
            (String::new(), 0),
        ];
        for (id, length) in ids {
            let bound = Id(&id);
            let kept = match bound.to_sql().unwrap() {
                ToSqlOutput::Borrowed(value) => {
                    (Kept::column_result(value).unwrap().0, value.as_bytes().unwrap().len())
                }
                ToSqlOutput::Owned(value) => {
                    let value = ValueRef::from(&value);
                    (Kept::column_result(value).unwrap().0, value.as_bytes().unwrap().len())
                }
                other => panic!("{other:?}"),
            };
            assert_eq!(kept, (id.clone(), length));
        }
    }
}
