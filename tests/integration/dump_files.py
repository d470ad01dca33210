"""Files of dumpers that the worker does not run, as they write them, packed as TiDB Operator does. Pure."""

import io
import tarfile
from collections.abc import Mapping

HEAD = "/*!40014 SET FOREIGN_KEY_CHECKS=0*/;\n/*!40101 SET NAMES binary*/;\n"
DUMPLING = {
    "p1-placement-policy-create.sql": "CREATE PLACEMENT POLICY `p1` FOLLOWERS=2;\n",
    "odd%2Fname-schema-create.sql": f"{HEAD}CREATE DATABASE `odd/name`;\n",
    # Views and sequences stand where the list of tables has them.
    "odd%2Fname.v-schema.sql": f"{HEAD}CREATE TABLE `v` (`id` int);\n",
    "odd%2Fname.v-schema-view.sql": f"{HEAD}DROP TABLE IF EXISTS `v`;\nDROP VIEW IF EXISTS `v`;\n"
    "SET @PREV_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT;\nSET character_set_client = utf8mb4;\n"
    "CREATE ALGORITHM=UNDEFINED DEFINER=`gone`@`%` SQL SECURITY DEFINER VIEW `odd/name`.`v` (`id`) AS "
    "SELECT `id` AS `id` FROM `odd/name`.`t`;\nSET character_set_client = @PREV_CHARACTER_SET_CLIENT;\n",
    "odd%2Fname.s-schema-sequence.sql": f"{HEAD}CREATE SEQUENCE `s` start with 1 minvalue 1 maxvalue 100 "
    "increment by 1 cache 10 nocycle ENGINE=InnoDB;\nSELECT SETVAL(`s`,41);\n",
    "odd%2Fname.t-schema.sql": f"{HEAD}CREATE TABLE `t` (`id` int NOT NULL DEFAULT nextval(`odd/name`.`s`), "
    "`v` varchar(20) CHARACTER SET gbk COLLATE gbk_bin, PRIMARY KEY (`id`)) PLACEMENT POLICY=`p1`;\n",
    "odd%2Fname.t.000000000.sql": f"{HEAD}INSERT INTO `t` VALUES\n(1,'中文'),\n(2,'a;\\nb');\n",
    "metadata": "Started dump at: 2026-01-01 00:00:00\nFinished dump at: 2026-01-01 00:00:01\n",
}
"""Of TiDB."""

_HEAD_1 = "/*!40101 SET NAMES binary*/;\n/*!40014 SET FOREIGN_KEY_CHECKS=0*/;\n"
MYDUMPER_1 = {
    "mydumper_0-schema-create.sql": "CREATE DATABASE /*!32312 IF NOT EXISTS*/ `odd/name`;\n",
    "mydumper_0.mydumper_1-schema.sql": f"{_HEAD_1}CREATE TABLE IF NOT EXISTS `quo't``e` (\n"
    "  `id` int NOT NULL,\n  `b` varbinary(9) DEFAULT NULL,\n  PRIMARY KEY (`id`)\n);\n",
    "mydumper_0.v-schema.sql": f"{_HEAD_1}CREATE TABLE IF NOT EXISTS `v`(\n`id` int\n) ENGINE=MEMORY;\n",
    "mydumper_0.s-schema.sql": f"{_HEAD_1}CREATE TABLE `s` (\n"
    "  `next_not_cached_value` bigint(21) NOT NULL,\n  `minimum_value` bigint(21) NOT NULL,\n"
    "  `maximum_value` bigint(21) NOT NULL,\n"
    "  `start_value` bigint(21) NOT NULL,\n  `increment` bigint(21) NOT NULL,\n"
    "  `cache_size` bigint(21) unsigned NOT NULL,\n  `cycle_option` tinyint(1) unsigned NOT NULL,\n"
    "  `cycle_count` bigint(21) NOT NULL\n) ENGINE=InnoDB SEQUENCE=1;\n",
    "mydumper_0.mydumper_1.00000.sql": f"{_HEAD_1}/*!40103 SET TIME_ZONE='+00:00' */;\n"
    'INSERT INTO `quo\'t``e` VALUES(1,_binary "a\\0;\\n")\n,(2,NULL)\n;\n',
    "mydumper_0.mydumper_1.00001.00002.sql": 'INSERT INTO `quo\'t``e` VALUES(3,_binary "x")\n;\n',
    "mydumper_0.s.00000.sql": f"{_HEAD_1}INSERT INTO `s` VALUES(41,1,9223372036854775806,1,1,1000,0,0)\n;\n",
    "mydumper_0.v-schema-view.sql": f"{_HEAD_1}DROP TABLE IF EXISTS `v`;\nDROP VIEW IF EXISTS `v`;\n"
    "SET @PREV_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT;\nSET character_set_client = utf8mb4;\n"
    "CREATE VIEW `v` AS select `quo't``e`.`id` AS `id` from `quo't``e`;\n"
    "SET character_set_client = @PREV_CHARACTER_SET_CLIENT;\n",
    "mydumper_0-schema-triggers.sql": "CREATE TRIGGER `tr` BEFORE INSERT ON `quo't``e` FOR EACH ROW "
    "SET NEW.b = 'fired';\n",
    "metadata": "# Started dump at: 2026-01-01 00:00:00\n[config]\nquote-character = BACKTICK\n",
}
"""Of version 1.0 and MariaDB: definitions first, odd names in the statements alone."""


def packed(files: Mapping[str, str | bytes], top: str) -> bytes:
    """An archive of these files, in this order, in one folder or none."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(f"{top}/{name}" if top else name)
            content = text.encode() if isinstance(text, str) else text
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()
