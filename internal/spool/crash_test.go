package spool_test

const crashEnv = "PSI_TEST_SPOOL_CRASH"

func crash(string) {}
