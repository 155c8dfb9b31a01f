package pack

import (
	"errors"
	"reflect"
	"strings"
	"unicode/utf8"
)

var errNothing = errors.New("there is nothing in it")

// JSON holds only UTF-8, but a member of an ENUM is bytes of its character set, and a
// statement may be cut inside a character. A text that JSON cannot hold is written as U+0000
// and then one character, U+0000 to U+00FF, for each byte.
const unspeakable = "\x00"

// speakable is a copy of v in which all texts are UTF-8.
func speakable[T any](v T) T { return mapTexts(v, speak) }

// spoken takes speakable back.
func spoken[T any](v T) T { return mapTexts(v, hear) }

func speak(s string) string {
	if utf8.ValidString(s) && !strings.HasPrefix(s, unspeakable) {
		return s
	}
	out := []rune{0}
	for i := range len(s) {
		out = append(out, rune(s[i]))
	}
	return string(out)
}

func hear(s string) string {
	plain, ok := strings.CutPrefix(s, unspeakable)
	if !ok {
		return s
	}
	out := make([]byte, 0, len(plain))
	for _, r := range plain {
		out = append(out, byte(r))
	}
	return string(out)
}

// mapTexts is a copy of v with fn of each text in it.
func mapTexts[T any](v T, fn func(string) string) T {
	out := reflect.New(reflect.TypeFor[T]()).Elem()
	mapValue(out, reflect.ValueOf(v), fn)
	return out.Interface().(T)
}

func mapValue(out, v reflect.Value, fn func(string) string) {
	switch v.Kind() {
	case reflect.String:
		out.SetString(fn(v.String()))
	case reflect.Pointer:
		if v.IsNil() {
			return
		}
		out.Set(reflect.New(v.Type().Elem()))
		mapValue(out.Elem(), v.Elem(), fn)
	case reflect.Slice:
		out.Set(v)
		if v.IsNil() || v.Type().Elem().Kind() == reflect.Uint8 {
			return
		}
		out.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
		for i := range v.Len() {
			mapValue(out.Index(i), v.Index(i), fn)
		}
	case reflect.Struct:
		out.Set(v)
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				mapValue(out.Field(i), v.Field(i), fn)
			}
		}
	default:
		out.Set(v)
	}
}
