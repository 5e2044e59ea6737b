package identity

import "watertight/internal/core/change/record"

func devicesKey(account, owner string) []byte { return record.Key("i/w/", account, "/", owner, "/") }
