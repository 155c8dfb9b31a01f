// Package extsort sorts more records than fit into memory. A record is a key and a value,
// both bytes; keys are ordered as bytes.Compare orders them, and records of equal keys come
// out in the order in which they went in. It gives records no meaning.
//
// Records gather in memory up to a bound. What does not fit is sorted and written as a run to
// one temporary file, which has no name any more once it is open, so that nothing can be left
// behind; the runs are merged while they are read. Input that arrives in order makes a single
// run and is neither sorted nor gathered. Input that fits makes no file.
package extsort
