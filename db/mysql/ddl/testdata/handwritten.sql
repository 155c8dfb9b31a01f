-- every way to write a column; the .tsv beside it is what MariaDB 10.11 made of it
CREATE DATABASE `shop` DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
USE shop;
CREATE TABLE numbers (
  a1 INTEGER NOT NULL, a2 int(5) unsigned, a3 BIGINT UNSIGNED ZEROFILL, a4 int1, a5 int2 , a6 int3, a7 int4, a8 int8,
  a9 middleint(4), b1 bool default true, b2 boolean not null default false, b3 tinyint signed,
  c1 dec, c2 numeric(8), c3 fixed(9,4) unsigned, c4 decimal(30,10) default -1.5,
  d1 float, d2 float(24), d3 float(25), d4 float(7,3), d5 real, d6 double precision, d7 float4, d8 float8, d9 double(9,2),
  e1 bit, e2 bit(9) default b'101', e3 year, e4 year(4), key (a2)
) comment 'it''s; a "table" \\ (';
create table `texts-1` (
  a1 char, a2 char(7) binary, a3 character varying(30), a4 nchar(3), a5 national varchar(9), a6 nvarchar(4),
  a7 char(4) ascii, a8 varchar(4) unicode, a9 char(3) byte, b1 varchar(20) character set latin1, b2 varchar(20) collate latin1_german2_ci,
  b3 text charset cp1251, b4 text(60), b5 text(70), b6 tinytext collate utf8mb4_bin, b7 long, b8 long varchar, b9 long varbinary,
  c1 blob, c2 blob(200), c3 binary, c4 binary(16), c5 varbinary(255), c6 longblob, c7 text character set binary, c8 varchar(3) charset binary,
  c9 mediumtext binary charset utf8, d1 varchar(6) character set utf8mb3 collate utf8mb3_bin, d2 national character varying(5),
  e1 enum('a','b ''q''','c,d','(e)','back\\slash',"dq",'trail  ') default 'a', e2 set('x','y') charset latin1 not null,
  e3 enum('ja','nein') character set binary, e4 enum('größe','ñandú') charset latin1, e5 enum(x'6162','c') character set ucs2
) collate 'utf8mb4_unicode_520_ci' engine innodb;
CREATE TABLE IF NOT EXISTS `shop`.`times` (
  t1 date default '0000-00-00', t2 time, t3 time(3), t4 datetime(6) not null default current_timestamp(6) on update current_timestamp(6),
  t5 timestamp null default null, t6 timestamp(2) not null default '2020-01-01 00:00:00', t7 datetime default now(), t8 year default 1999,
  c1 varchar(10) compressed, c2 text compressed, c3 json, c4 uuid, c5 inet6 default '::1', c6 inet4, c7 point, c8 geometry not null, c9 polygon,
  g1 int as (year(t1)) virtual, g2 int generated always as (length(c1)) stored, g3 varchar(20) as (concat('a,)',c1)) persistent comment 'x, y) not null',
  i1 int invisible, i2 int not null default (1 + (2)) invisible check (i2 > 0), s1 serial
);
create table parent (id bigint unsigned auto_increment primary key, code varchar(20) unique, n1 int, n2 int not null, unique key n (n1, n2),
  unique (n2, id), unique pre (code(5)), index (n1), fulltext key ft (code)) default charset=latin1;
create table child (pid bigint unsigned not null, `order` int, parent_code varchar(20) character set latin1, primary key (pid, `order`),
  constraint `c-1` foreign key fkidx (pid) references parent (id) on delete cascade on update no action,
  foreign key (parent_code) references `shop`.`parent`(code) on delete set null,
  check (`order` > 0), constraint named check (pid > 0));
create table v1 (a int primary key, b int) with system versioning;
create table v2 (a int primary key, s timestamp(6) generated always as row start, e timestamp(6) generated always as row end invisible,
  period for system_time(s, e)) with system versioning;
create table p1 (id int, f date, t date, period for p(f, t), primary key (id, p without overlaps));
create table parts (id int not null, d date not null, primary key (id, d)) partition by range (year(d)) (partition p0 values less than (2020), partition p1 values less than maxvalue);
create table `1st` like parent;
create table bin_default (a char(3), b varchar(4), c text, d enum('a ')) character set = binary;
create table later (a int, b varchar(3));
alter table later add column c varchar(5) after a, add primary key (a), change b bb text collate utf8mb4_bin first, add (d int, e enum('1','2'));
alter table later modify e enum('1','2','3') not null, drop column d, add unique (e), rename column a to id;
create unique index ce on later (c, e);
create trigger tr before insert on later for each row set new.c = 'x;';
rename table later to earlier;
create table gone (a int); drop table gone;
create temporary table tmp (a int);
