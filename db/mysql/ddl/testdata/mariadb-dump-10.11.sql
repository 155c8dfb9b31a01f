/*M!999999\- enable the sandbox mode */ 
-- MariaDB dump 10.19  Distrib 10.11.19-MariaDB, for debian-linux-gnu (x86_64)
--
-- Host: localhost    Database: shop
-- ------------------------------------------------------
-- Server version	10.11.19-MariaDB-0+deb12u1-log

/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;
/*!40101 SET @OLD_CHARACTER_SET_RESULTS=@@CHARACTER_SET_RESULTS */;
/*!40101 SET @OLD_COLLATION_CONNECTION=@@COLLATION_CONNECTION */;
/*!40101 SET NAMES utf8mb4 */;
/*!40103 SET @OLD_TIME_ZONE=@@TIME_ZONE */;
/*!40103 SET TIME_ZONE='+00:00' */;
/*!40014 SET @OLD_UNIQUE_CHECKS=@@UNIQUE_CHECKS, UNIQUE_CHECKS=0 */;
/*!40014 SET @OLD_FOREIGN_KEY_CHECKS=@@FOREIGN_KEY_CHECKS, FOREIGN_KEY_CHECKS=0 */;
/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;
/*!40111 SET @OLD_SQL_NOTES=@@SQL_NOTES, SQL_NOTES=0 */;

--
-- Current Database: `shop`
--

CREATE DATABASE /*!32312 IF NOT EXISTS*/ `shop` /*!40100 DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci */;

USE `shop`;

--
-- Table structure for table `1st`
--

DROP TABLE IF EXISTS `1st`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `1st` (
  `id` bigint(20) unsigned NOT NULL AUTO_INCREMENT,
  `code` varchar(20) DEFAULT NULL,
  `n1` int(11) DEFAULT NULL,
  `n2` int(11) NOT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `n2` (`n2`,`id`),
  UNIQUE KEY `code` (`code`),
  UNIQUE KEY `n` (`n1`,`n2`),
  UNIQUE KEY `pre` (`code`(5)),
  KEY `n1` (`n1`),
  FULLTEXT KEY `ft` (`code`)
) ENGINE=InnoDB DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `1st`
--

LOCK TABLES `1st` WRITE;
/*!40000 ALTER TABLE `1st` DISABLE KEYS */;
/*!40000 ALTER TABLE `1st` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Table structure for table `bin_default`
--

DROP TABLE IF EXISTS `bin_default`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `bin_default` (
  `a` binary(3) DEFAULT NULL,
  `b` varbinary(4) DEFAULT NULL,
  `c` blob DEFAULT NULL,
  `d` enum('a ') DEFAULT NULL
) ENGINE=InnoDB DEFAULT CHARSET=binary;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `bin_default`
--

LOCK TABLES `bin_default` WRITE;
/*!40000 ALTER TABLE `bin_default` DISABLE KEYS */;
/*!40000 ALTER TABLE `bin_default` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Table structure for table `child`
--

DROP TABLE IF EXISTS `child`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `child` (
  `pid` bigint(20) unsigned NOT NULL,
  `order` int(11) NOT NULL,
  `parent_code` varchar(20) CHARACTER SET latin1 COLLATE latin1_swedish_ci DEFAULT NULL,
  PRIMARY KEY (`pid`,`order`),
  KEY `parent_code` (`parent_code`),
  CONSTRAINT `c-1` FOREIGN KEY (`pid`) REFERENCES `parent` (`id`) ON DELETE CASCADE ON UPDATE NO ACTION,
  CONSTRAINT `child_ibfk_1` FOREIGN KEY (`parent_code`) REFERENCES `parent` (`code`) ON DELETE SET NULL,
  CONSTRAINT `CONSTRAINT_1` CHECK (`order` > 0),
  CONSTRAINT `named` CHECK (`pid` > 0)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `child`
--

LOCK TABLES `child` WRITE;
/*!40000 ALTER TABLE `child` DISABLE KEYS */;
/*!40000 ALTER TABLE `child` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Table structure for table `earlier`
--

DROP TABLE IF EXISTS `earlier`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `earlier` (
  `bb` text CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL,
  `id` int(11) NOT NULL,
  `c` varchar(5) DEFAULT NULL,
  `e` enum('1','2','3') NOT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `e` (`e`),
  UNIQUE KEY `ce` (`c`,`e`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `earlier`
--

LOCK TABLES `earlier` WRITE;
/*!40000 ALTER TABLE `earlier` DISABLE KEYS */;
/*!40000 ALTER TABLE `earlier` ENABLE KEYS */;
UNLOCK TABLES;
/*!50003 SET @saved_cs_client      = @@character_set_client */ ;
/*!50003 SET @saved_cs_results     = @@character_set_results */ ;
/*!50003 SET @saved_col_connection = @@collation_connection */ ;
/*!50003 SET character_set_client  = utf8mb4 */ ;
/*!50003 SET character_set_results = utf8mb4 */ ;
/*!50003 SET collation_connection  = utf8mb4_general_ci */ ;
/*!50003 SET @saved_sql_mode       = @@sql_mode */ ;
/*!50003 SET sql_mode              = '' */ ;
DELIMITER ;;
/*!50003 CREATE*/ /*!50017 DEFINER=`root`@`localhost`*/ /*!50003 trigger tr before insert ON `earlier` for each row set new.c = 'x;' 
*/;;
DELIMITER ;
/*!50003 SET sql_mode              = @saved_sql_mode */ ;
/*!50003 SET character_set_client  = @saved_cs_client */ ;
/*!50003 SET character_set_results = @saved_cs_results */ ;
/*!50003 SET collation_connection  = @saved_col_connection */ ;

--
-- Table structure for table `numbers`
--

DROP TABLE IF EXISTS `numbers`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `numbers` (
  `a1` int(11) NOT NULL,
  `a2` int(5) unsigned DEFAULT NULL,
  `a3` bigint(20) unsigned zerofill DEFAULT NULL,
  `a4` tinyint(4) DEFAULT NULL,
  `a5` smallint(6) DEFAULT NULL,
  `a6` mediumint(9) DEFAULT NULL,
  `a7` int(11) DEFAULT NULL,
  `a8` bigint(20) DEFAULT NULL,
  `a9` mediumint(4) DEFAULT NULL,
  `b1` tinyint(1) DEFAULT 1,
  `b2` tinyint(1) NOT NULL DEFAULT 0,
  `b3` tinyint(4) DEFAULT NULL,
  `c1` decimal(10,0) DEFAULT NULL,
  `c2` decimal(8,0) DEFAULT NULL,
  `c3` decimal(9,4) unsigned DEFAULT NULL,
  `c4` decimal(30,10) DEFAULT -1.5000000000,
  `d1` float DEFAULT NULL,
  `d2` float DEFAULT NULL,
  `d3` double DEFAULT NULL,
  `d4` float(7,3) DEFAULT NULL,
  `d5` double DEFAULT NULL,
  `d6` double DEFAULT NULL,
  `d7` float DEFAULT NULL,
  `d8` double DEFAULT NULL,
  `d9` double(9,2) DEFAULT NULL,
  `e1` bit(1) DEFAULT NULL,
  `e2` bit(9) DEFAULT b'101',
  `e3` year(4) DEFAULT NULL,
  `e4` year(4) DEFAULT NULL,
  KEY `a2` (`a2`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci COMMENT='it''s; a "table" \\ (';
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `numbers`
--

LOCK TABLES `numbers` WRITE;
/*!40000 ALTER TABLE `numbers` DISABLE KEYS */;
/*!40000 ALTER TABLE `numbers` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Table structure for table `p1`
--

DROP TABLE IF EXISTS `p1`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `p1` (
  `id` int(11) NOT NULL,
  `f` date NOT NULL,
  `t` date NOT NULL,
  PERIOD FOR `p` (`f`, `t`),
  PRIMARY KEY (`id`,`p` WITHOUT OVERLAPS)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `p1`
--

LOCK TABLES `p1` WRITE;
/*!40000 ALTER TABLE `p1` DISABLE KEYS */;
/*!40000 ALTER TABLE `p1` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Table structure for table `parent`
--

DROP TABLE IF EXISTS `parent`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `parent` (
  `id` bigint(20) unsigned NOT NULL AUTO_INCREMENT,
  `code` varchar(20) DEFAULT NULL,
  `n1` int(11) DEFAULT NULL,
  `n2` int(11) NOT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `n2` (`n2`,`id`),
  UNIQUE KEY `code` (`code`),
  UNIQUE KEY `n` (`n1`,`n2`),
  UNIQUE KEY `pre` (`code`(5)),
  KEY `n1` (`n1`),
  FULLTEXT KEY `ft` (`code`)
) ENGINE=InnoDB AUTO_INCREMENT=3 DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `parent`
--

LOCK TABLES `parent` WRITE;
/*!40000 ALTER TABLE `parent` DISABLE KEYS */;
INSERT INTO `parent` VALUES
(1,'a;b\'c\\',NULL,1),
(2,'DELIMITER',NULL,2);
/*!40000 ALTER TABLE `parent` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Table structure for table `parts`
--

DROP TABLE IF EXISTS `parts`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `parts` (
  `id` int(11) NOT NULL,
  `d` date NOT NULL,
  PRIMARY KEY (`id`,`d`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci
 PARTITION BY RANGE (year(`d`))
(PARTITION `p0` VALUES LESS THAN (2020) ENGINE = InnoDB,
 PARTITION `p1` VALUES LESS THAN MAXVALUE ENGINE = InnoDB);
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `parts`
--

LOCK TABLES `parts` WRITE;
/*!40000 ALTER TABLE `parts` DISABLE KEYS */;
/*!40000 ALTER TABLE `parts` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Table structure for table `texts-1`
--

DROP TABLE IF EXISTS `texts-1`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `texts-1` (
  `a1` char(1) DEFAULT NULL,
  `a2` char(7) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL,
  `a3` varchar(30) DEFAULT NULL,
  `a4` char(3) CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci DEFAULT NULL,
  `a5` varchar(9) CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci DEFAULT NULL,
  `a6` varchar(4) CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci DEFAULT NULL,
  `a7` char(4) CHARACTER SET latin1 COLLATE latin1_swedish_ci DEFAULT NULL,
  `a8` varchar(4) CHARACTER SET ucs2 COLLATE ucs2_general_ci DEFAULT NULL,
  `a9` binary(3) DEFAULT NULL,
  `b1` varchar(20) CHARACTER SET latin1 COLLATE latin1_swedish_ci DEFAULT NULL,
  `b2` varchar(20) CHARACTER SET latin1 COLLATE latin1_german2_ci DEFAULT NULL,
  `b3` text CHARACTER SET cp1251 COLLATE cp1251_general_ci DEFAULT NULL,
  `b4` tinytext DEFAULT NULL,
  `b5` text DEFAULT NULL,
  `b6` tinytext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL,
  `b7` mediumtext DEFAULT NULL,
  `b8` mediumtext DEFAULT NULL,
  `b9` mediumblob DEFAULT NULL,
  `c1` blob DEFAULT NULL,
  `c2` tinyblob DEFAULT NULL,
  `c3` binary(1) DEFAULT NULL,
  `c4` binary(16) DEFAULT NULL,
  `c5` varbinary(255) DEFAULT NULL,
  `c6` longblob DEFAULT NULL,
  `c7` blob DEFAULT NULL,
  `c8` varbinary(3) DEFAULT NULL,
  `c9` mediumtext CHARACTER SET utf8mb3 COLLATE utf8mb3_bin DEFAULT NULL,
  `d1` varchar(6) CHARACTER SET utf8mb3 COLLATE utf8mb3_bin DEFAULT NULL,
  `d2` varchar(5) CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci DEFAULT NULL,
  `e1` enum('a','b ''q''','c,d','(e)','back\\slash','dq','trail') DEFAULT 'a',
  `e2` set('x','y') CHARACTER SET latin1 COLLATE latin1_swedish_ci NOT NULL,
  `e3` enum('ja','nein') CHARACTER SET binary DEFAULT NULL,
  `e4` enum('größe','ñandú') CHARACTER SET latin1 COLLATE latin1_swedish_ci DEFAULT NULL,
  `e5` enum('慢','c') CHARACTER SET ucs2 COLLATE ucs2_general_ci DEFAULT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_520_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `texts-1`
--

LOCK TABLES `texts-1` WRITE;
/*!40000 ALTER TABLE `texts-1` DISABLE KEYS */;
/*!40000 ALTER TABLE `texts-1` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Table structure for table `times`
--

DROP TABLE IF EXISTS `times`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `times` (
  `t1` date DEFAULT '0000-00-00',
  `t2` time DEFAULT NULL,
  `t3` time(3) DEFAULT NULL,
  `t4` datetime(6) NOT NULL DEFAULT current_timestamp(6) ON UPDATE current_timestamp(6),
  `t5` timestamp NULL DEFAULT NULL,
  `t6` timestamp(2) NOT NULL DEFAULT '2020-01-01 00:00:00.00',
  `t7` datetime DEFAULT current_timestamp(),
  `t8` year(4) DEFAULT 1999,
  `c1` varchar(10) /*M!100301 COMPRESSED*/ DEFAULT NULL,
  `c2` text /*M!100301 COMPRESSED*/ DEFAULT NULL,
  `c3` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL CHECK (json_valid(`c3`)),
  `c4` uuid DEFAULT NULL,
  `c5` inet6 DEFAULT '::1',
  `c6` inet4 DEFAULT NULL,
  `c7` point DEFAULT NULL,
  `c8` geometry NOT NULL,
  `c9` polygon DEFAULT NULL,
  `g1` int(11) GENERATED ALWAYS AS (year(`t1`)) VIRTUAL,
  `g2` int(11) GENERATED ALWAYS AS (octet_length(`c1`)) STORED,
  `g3` varchar(20) GENERATED ALWAYS AS (concat('a,)',`c1`)) STORED COMMENT 'x, y) not null',
  `i1` int(11) INVISIBLE DEFAULT NULL,
  `i2` int(11) NOT NULL INVISIBLE DEFAULT (1 + 2) CHECK (`i2` > 0),
  `s1` bigint(20) unsigned NOT NULL AUTO_INCREMENT,
  UNIQUE KEY `s1` (`s1`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `times`
--

LOCK TABLES `times` WRITE;
/*!40000 ALTER TABLE `times` DISABLE KEYS */;
/*!40000 ALTER TABLE `times` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Table structure for table `v1`
--

DROP TABLE IF EXISTS `v1`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `v1` (
  `a` int(11) NOT NULL,
  `b` int(11) DEFAULT NULL,
  PRIMARY KEY (`a`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci WITH SYSTEM VERSIONING;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `v1`
--

LOCK TABLES `v1` WRITE;
/*!40000 ALTER TABLE `v1` DISABLE KEYS */;
/*!40000 ALTER TABLE `v1` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Table structure for table `v2`
--

DROP TABLE IF EXISTS `v2`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `v2` (
  `a` int(11) NOT NULL,
  `s` timestamp(6) GENERATED ALWAYS AS ROW START,
  `e` timestamp(6) GENERATED ALWAYS AS ROW END INVISIBLE,
  PRIMARY KEY (`a`,`e`),
  PERIOD FOR SYSTEM_TIME (`s`, `e`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci WITH SYSTEM VERSIONING;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `v2`
--

LOCK TABLES `v2` WRITE;
/*!40000 ALTER TABLE `v2` DISABLE KEYS */;
/*!40000 ALTER TABLE `v2` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Temporary table structure for view `vw`
--

DROP TABLE IF EXISTS `vw`;
/*!50001 DROP VIEW IF EXISTS `vw`*/;
SET @saved_cs_client     = @@character_set_client;
SET character_set_client = utf8mb4;
/*!50001 CREATE VIEW `vw` AS SELECT
 NULL AS `id`,
 NULL AS `code`,
 NULL AS `n1`,
 NULL AS `n2` */;
SET character_set_client = @saved_cs_client;

--
-- Dumping routines for database 'shop'
--

--
-- Current Database: `shop`
--

USE `shop`;

--
-- Final view structure for view `vw`
--

/*!50001 DROP VIEW IF EXISTS `vw`*/;
/*!50001 SET @saved_cs_client          = @@character_set_client */;
/*!50001 SET @saved_cs_results         = @@character_set_results */;
/*!50001 SET @saved_col_connection     = @@collation_connection */;
/*!50001 SET character_set_client      = utf8mb3 */;
/*!50001 SET character_set_results     = utf8mb3 */;
/*!50001 SET collation_connection      = utf8mb3_general_ci */;
/*!50001 CREATE ALGORITHM=UNDEFINED */
/*!50013 DEFINER=`root`@`localhost` SQL SECURITY DEFINER */
/*!50001 VIEW `vw` AS select `parent`.`id` AS `id`,`parent`.`code` AS `code`,`parent`.`n1` AS `n1`,`parent`.`n2` AS `n2` from `parent` */;
/*!50001 SET character_set_client      = @saved_cs_client */;
/*!50001 SET character_set_results     = @saved_cs_results */;
/*!50001 SET collation_connection      = @saved_col_connection */;
/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;

/*!40101 SET SQL_MODE=@OLD_SQL_MODE */;
/*!40014 SET FOREIGN_KEY_CHECKS=@OLD_FOREIGN_KEY_CHECKS */;
/*!40014 SET UNIQUE_CHECKS=@OLD_UNIQUE_CHECKS */;
/*!40101 SET CHARACTER_SET_CLIENT=@OLD_CHARACTER_SET_CLIENT */;
/*!40101 SET CHARACTER_SET_RESULTS=@OLD_CHARACTER_SET_RESULTS */;
/*!40101 SET COLLATION_CONNECTION=@OLD_COLLATION_CONNECTION */;
/*!40111 SET SQL_NOTES=@OLD_SQL_NOTES */;

-- Dump completed
