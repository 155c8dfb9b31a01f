package binjson

import (
	"encoding/base64"
	"strconv"
)

// AppendText appends the text that the server prints for the document, as SELECT of the
// column does: keys in stored order, ", " and ": " between them. DECIMAL values are numbers
// with their scale, temporal values are quoted, other opaque values are
// "base64:typeNN:...". Strings of the old column type VAR_STRING (253) are plain strings, as
// in servers since 8.0; 9.7 makes none, 5.7 printed them as base64. An error wraps ErrDamaged or ErrDepth; dst is then returned as it was.
func AppendText(dst, doc []byte) ([]byte, error) {
	w, n := open(doc)
	out, err := w.text(dst, n, 0)
	if err != nil {
		return dst, err
	}
	return out, nil
}

func (w *walk) text(dst []byte, n node, depth int) ([]byte, error) {
	if n.container() {
		return w.boxText(dst, n, depth+1)
	}
	s, err := w.scalar(n)
	if err != nil {
		return dst, err
	}
	return appendScalar(dst, s)
}

func (w *walk) boxText(dst []byte, n node, depth int) ([]byte, error) {
	if depth > MaxDepth {
		return dst, ErrDepth
	}
	b, err := w.box(n)
	if err != nil {
		return dst, err
	}
	open, shut := byte('['), byte(']')
	if b.object {
		open, shut = '{', '}'
	}
	dst = append(dst, open)
	for i := range b.count {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		if dst, err = w.memberText(dst, &b, i, depth); err != nil {
			return dst, err
		}
	}
	return append(dst, shut), nil
}

func (w *walk) memberText(dst []byte, b *box, i, depth int) ([]byte, error) {
	if b.object {
		k, err := w.key(b, i)
		if err != nil {
			return dst, err
		}
		dst = append(appendQuoted(dst, k), ": "...)
	}
	c, err := b.child(i)
	if err != nil {
		return dst, err
	}
	return w.text(dst, c, depth)
}

func appendScalar(dst []byte, s scalar) ([]byte, error) {
	switch s.typ {
	case tLiteral:
		return append(dst, [...]string{"null", "true", "false"}[s.bits]...), nil
	case tInt64:
		return strconv.AppendInt(dst, int64(s.bits), 10), nil
	case tUint64:
		return strconv.AppendUint(dst, s.bits, 10), nil
	case tDouble:
		return appendDouble(dst, s.double()), nil
	case tString:
		return appendQuoted(dst, s.data), nil
	}
	return appendOpaque(dst, s)
}

func appendOpaque(dst []byte, s scalar) ([]byte, error) {
	switch s.col {
	case colDecimal:
		return appendDecimal(dst, s.data)
	case colDate, colTime, colDatetime, colTimestamp:
		dst, err := appendTemporal(append(dst, '"'), s)
		return append(dst, '"'), err
	case colVarString:
		return appendQuoted(dst, s.data), nil
	}
	dst = append(dst, `"base64:type`...)
	dst = append(strconv.AppendUint(dst, uint64(s.col), 10), ':')
	return append(appendBase64(dst, s.data), '"'), nil
}

// appendBase64 breaks lines after 76 characters as the server's encoder does; the line
// break is then escaped like any other in a JSON string.
func appendBase64(dst, data []byte) []byte {
	const line = 57 // bytes that make 76 characters
	for len(data) > line {
		dst = append(base64.StdEncoding.AppendEncode(dst, data[:line]), `\n`...)
		data = data[line:]
	}
	return base64.StdEncoding.AppendEncode(dst, data)
}

const hexDigits = "0123456789abcdef"

// appendQuoted escapes what the server escapes and nothing else: bytes below 0x20, the
// quote and the backslash.
func appendQuoted(dst, s []byte) []byte {
	dst = append(dst, '"')
	from := 0
	for i, c := range s {
		if c > 0x1f && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[from:i]...)
		dst = appendEscape(dst, c)
		from = i + 1
	}
	return append(append(dst, s[from:]...), '"')
}

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, `\b`...)
	case '\f':
		return append(dst, `\f`...)
	case '\n':
		return append(dst, `\n`...)
	case '\r':
		return append(dst, `\r`...)
	case '\t':
		return append(dst, `\t`...)
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}
