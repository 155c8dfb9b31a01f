package binlogs

// charsetOf is the character set of a collation as the log numbers it, "" when it is not one of
// the commoner ones. MariaDB's NO PAD collations lie 1024 above the others, its UCA 14.0.0 ones
// in blocks of 256.
func charsetOf(collation uint64) string {
	const noPad, uca1400, ucaBlock = 1024, 2048, 256
	if collation >= uca1400 {
		if block := (collation - uca1400) / ucaBlock; block < 5 {
			return [...]string{"utf8mb3", "utf8mb4", "ucs2", "utf16", "utf32"}[block]
		}
		return ""
	}
	if collation > noPad {
		collation -= noPad
	}
	in := func(from, to uint64) bool { return from <= collation && collation <= to }
	switch {
	case in(192, 215), in(576, 579):
		return "utf8mb3"
	case in(224, 247), in(255, 323), in(608, 611):
		return "utf8mb4"
	case in(101, 124), in(672, 674):
		return "utf16"
	case in(128, 151), in(640, 642):
		return "ucs2"
	case in(160, 183), in(736, 738):
		return "utf32"
	case in(248, 250):
		return "gb18030"
	}
	return oldCharset(collation)
}

// oldCharset is charsetOf for the collations that every version numbers one by one.
func oldCharset(collation uint64) string {
	switch collation {
	case 5, 8, 15, 31, 47, 48, 49, 94:
		return "latin1"
	case 2, 9, 21, 27, 77:
		return "latin2"
	case 30, 78:
		return "latin5"
	case 20, 41, 42, 79:
		return "latin7"
	case 11, 65:
		return "ascii"
	case 63:
		return "binary"
	case 33, 76, 83, 223:
		return "utf8mb3"
	case 45, 46:
		return "utf8mb4"
	case 35, 90, 159:
		return "ucs2"
	case 54, 55:
		return "utf16"
	case 60, 61:
		return "utf32"
	case 26, 34, 44, 66, 99:
		return "cp1250"
	case 14, 23, 50, 51, 52:
		return "cp1251"
	case 7, 74:
		return "koi8r"
	case 1, 84:
		return "big5"
	case 24, 86:
		return "gb2312"
	case 28, 87:
		return "gbk"
	case 19, 85:
		return "euckr"
	case 13, 88:
		return "sjis"
	case 95, 96:
		return "cp932"
	case 12, 91:
		return "ujis"
	case 97, 98:
		return "eucjpms"
	}
	return ""
}
