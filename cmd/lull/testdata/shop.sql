CREATE TABLE customers (
  id int NOT NULL AUTO_INCREMENT PRIMARY KEY,
  name varchar(60) NOT NULL,
  email varchar(80) NOT NULL
);
CREATE TABLE billing (
  id int NOT NULL AUTO_INCREMENT PRIMARY KEY,
  customer int NOT NULL,
  amount decimal(10,2) NOT NULL,
  note varchar(100),
  paid datetime
);
INSERT INTO customers SELECT seq, concat('Customer ', seq), concat('c', seq, '@example.com') FROM seq_1_to_300;
INSERT INTO billing SELECT seq, 1 + seq % 300, seq * 1.5, concat('invoice ', seq), '2026-11-01 10:00:00' FROM seq_1_to_1204;
