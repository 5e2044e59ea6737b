package main

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"
	"time"

	"watertight/internal/operator"
)

// account holds the commands on accounts; they talk to the running server.
type account struct {
	Create    accountCreate    `cmd:"" help:"Create an account and print the access key of its root user, once, as JSON."`
	List      accountList      `cmd:"" help:"List the accounts."`
	ResetRoot accountResetRoot `cmd:"" name:"reset-root" help:"Give an account's root user a new access key, printed once as JSON, and remove the old ones."`
}

// running names the data directory of the server that a command talks to.
type running struct {
	Data string `help:"Data directory of the running server." default:"${data}" env:"WATERTIGHT_DATA" placeholder:"DIR"`
}

type accountCreate struct {
	running
	Name string `help:"Name of the account." required:"" placeholder:"NAME"`
}

// Run makes an account.
func (c *accountCreate) Run(p process) error {
	o := operator.Dial(c.Data)
	a, err := o.CreateAccount(p.ctx, c.Name)
	if err != nil {
		return err
	}
	return printJSON(p, a)
}

type accountList struct {
	running
	JSON bool `help:"Print JSON." name:"json"`
}

// Run lists the accounts.
func (c *accountList) Run(p process) error {
	o := operator.Dial(c.Data)
	all, err := o.Accounts(p.ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(p, all)
	}
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ACCOUNT\tNAME\tCREATED")
	for _, a := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\n", a.AccountID, a.Name, a.Created.Format(time.RFC3339))
	}
	return w.Flush()
}

type accountResetRoot struct {
	running
	Account string `help:"Id of the account." required:"" placeholder:"ID"`
}

// Run resets the root user's keys.
func (c *accountResetRoot) Run(p process) error {
	o := operator.Dial(c.Data)
	a, err := o.ResetRoot(p.ctx, c.Account)
	if err != nil {
		return err
	}
	return printJSON(p, a)
}

func printJSON(p process, v any) error {
	e := json.NewEncoder(p.stdout)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
