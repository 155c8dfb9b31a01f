package mysql

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"github.com/lull-ops/lull/db/mysql/ddl"
)

// Statement makes something of a database that is no table: run it in the schema Schema.
type Statement struct {
	// Kind is "database", "sequence", "view", "function", "procedure", "package",
	// "package body", "trigger", "event" or "grant".
	Kind   string
	Schema string // "" for grants
	Name   string // 'user'@'host' for grants
	SQL    string
}

// Catalog reads what there is besides tables in the schemas: the schemas themselves, sequences,
// views, routines, triggers, events, in an order in which they can be made, and then all accounts'
// grants, without anything that has to do with passwords. missing names what the server does not
// show to the user.
func (c *Conn) Catalog(ctx context.Context, schemas []string) (found []Statement, missing []string, err error) {
	r := &catalogReader{c: c}
	for _, s := range schemas {
		if err := r.schema(ctx, s); err != nil {
			return nil, nil, c.failed(ctx, "read catalog of "+s, err)
		}
	}
	rank := func(s Statement) int {
		return slices.IndexFunc(catalogKinds(), func(k catalogKind) bool { return k.kind == s.Kind })
	}
	slices.SortStableFunc(r.found, func(a, b Statement) int { return rank(a) - rank(b) })
	if err := r.grants(ctx); err != nil {
		return nil, nil, c.failed(ctx, "read grants", err)
	}
	return r.found, r.missing, nil
}

type catalogReader struct {
	c       *Conn
	found   []Statement
	missing []string
}

// catalogKind says where names of a kind are listed and how its definitions are shown.
type catalogKind struct {
	kind   string
	list   string // SELECT of names, without the condition on the schema
	schema string // the column of the schema
	show   string
	column int  // of the statement in what show gives
	maria  bool // only MariaDB has it
}

func catalogKinds() []catalogKind {
	routines := func(kind string, maria bool) catalogKind {
		upper := strings.ToUpper(kind)
		return catalogKind{kind, "SELECT ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_TYPE = '" + upper + "' AND ", "ROUTINE_SCHEMA", "SHOW CREATE " + upper, 2, maria}
	}
	return []catalogKind{
		{"database", "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE ", "SCHEMA_NAME", "SHOW CREATE DATABASE", 1, false},
		{"sequence", "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_TYPE = 'SEQUENCE' AND ", "TABLE_SCHEMA", "SHOW CREATE SEQUENCE", 1, true},
		routines("function", false),
		routines("procedure", false),
		routines("package", true),
		routines("package body", true),
		{"view", "SELECT TABLE_NAME FROM information_schema.VIEWS WHERE ", "TABLE_SCHEMA", "SHOW CREATE VIEW", 1, false},
		{"trigger", "SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE ", "TRIGGER_SCHEMA", "SHOW CREATE TRIGGER", 2, false},
		{"event", "SELECT EVENT_NAME FROM information_schema.EVENTS WHERE ", "EVENT_SCHEMA", "SHOW CREATE EVENT", 3, false},
	}
}

func (r *catalogReader) schema(ctx context.Context, schema string) error {
	for _, k := range catalogKinds() {
		if k.maria && r.c.Flavor != MariaDB {
			continue
		}
		var names []string
		err := r.c.each(ctx, k.list+r.c.is(k.schema, schema)+" ORDER BY 1", func(row []sql.NullString) {
			names = append(names, row[0].String)
		})
		if err != nil {
			return err
		}
		for _, n := range names {
			if err := r.one(ctx, k, schema, n); err != nil {
				return err
			}
		}
	}
	return nil
}

// one reads one statement. What the server refuses to show is missing; what is gone is not.
func (r *catalogReader) one(ctx context.Context, k catalogKind, schema, name string) error {
	what := quoteName(schema) + "." + quoteName(name)
	if k.kind == "database" {
		what = quoteName(name)
	}
	var text sql.NullString
	shown := false
	err := r.c.each(ctx, k.show+" "+what, func(row []sql.NullString) {
		if shown = k.column < len(row); shown {
			text = row[k.column]
		}
	})
	switch n := serverErrorNumber(err); {
	case n == errUnknownTable || n == errNoRoutine || n == errNoTrigger || n == errNoEvent || n == errUnknownSchema:
		return nil
	case err != nil && n == 0:
		return err
	case err != nil || !shown || text.String == "":
		r.missing = append(r.missing, k.kind+" "+what)
		return nil
	}
	r.found = append(r.found, Statement{Kind: k.kind, Schema: schema, Name: name, SQL: text.String})
	return nil
}

// grants reads what each account may do.
func (r *catalogReader) grants(ctx context.Context) error {
	type account struct{ user, host string }
	var accounts []account
	role := "'N'"
	if r.c.Flavor == MariaDB && r.c.Version.AtLeast(10, 0, 5) {
		role = "is_role"
	}
	err := r.c.each(ctx, "SELECT User, Host, "+role+" FROM mysql.user ORDER BY User, Host", func(row []sql.NullString) {
		a := account{row[0].String, row[1].String}
		switch {
		case strings.HasPrefix(a.user, "mysql.") || a.user == "mariadb.sys" || a.user == "PUBLIC" && row[2].String == "Y":
		case row[2].String == "Y":
			accounts = append(accounts, account{a.user, ""})
		default:
			accounts = append(accounts, a)
		}
	})
	if n := serverErrorNumber(err); n != 0 {
		r.missing = append(r.missing, "grants of other accounts")
		return nil
	}
	if err != nil {
		return err
	}
	for _, a := range accounts {
		name := "'" + strings.ReplaceAll(a.user, "'", "''") + "'"
		if a.host != "" {
			name = quoteAccount(a.user + "@" + a.host)
		}
		err := r.c.each(ctx, "SHOW GRANTS FOR "+name, func(row []sql.NullString) {
			r.found = append(r.found, Statement{Kind: "grant", Name: name, SQL: withoutSecret(row[0].String)})
		})
		switch n := serverErrorNumber(err); {
		case n == errNoGrant: // gone, or of a host name that the server does not look up
		case err != nil && n == 0:
			return err
		case err != nil:
			r.missing = append(r.missing, "grants of "+name)
		}
	}
	return nil
}

// withoutSecret takes IDENTIFIED ... out of a GRANT: how an account logs in, which holds the hash
// of its password.
func withoutSecret(grant string) string {
	toks := ddl.Tokenize(grant)
	is := func(i int, words ...string) bool {
		return i < len(toks) && toks[i].Kind == ddl.Word && slices.ContainsFunc(words, func(w string) bool { return strings.EqualFold(w, toks[i].Text) })
	}
	from := slices.IndexFunc(toks, func(t ddl.Token) bool { return t.Kind == ddl.Word && strings.EqualFold(t.Text, "IDENTIFIED") })
	if from < 0 {
		return grant
	}
	end := len(grant)
	for i := from; i < len(toks); i++ {
		if is(i, "REQUIRE") || is(i, "WITH") && (is(i+1, "GRANT") || i+1 < len(toks) && strings.HasPrefix(strings.ToUpper(toks[i+1].Text), "MAX_")) {
			end = toks[i].Pos
			break
		}
	}
	return strings.TrimSpace(grant[:toks[from].Pos] + grant[end:])
}
