package policy

// principal parses Principal and NotPrincipal, which only resource-based policies have.
func (p *parser) principal(n node, path string, s *statement) error {
	if p.kind == Identity || p.kind == Session {
		return nil
	}
	v, not, path, err := n.either(path, "Principal")
	if err != nil {
		return err
	}
	if not && s.allow {
		// An Allow for everyone except a few would include strangers; S3 refuses it, too.
		return &Error{BadPrincipal, path, "NotPrincipal is allowed only in Deny statements"}
	}
	s.notPrincipal = not
	// S3 was observed to accept "*" in a list, too.
	if v.shape == listShape && len(v.items) == 1 && v.items[0].shape == stringShape {
		v = v.items[0]
	}
	if v.shape == stringShape && v.text == "*" {
		return p.entry(PrincipalName{"AWS", "*"}, path, s)
	}
	if v.shape != objectShape || len(v.members) == 0 {
		return &Error{BadPrincipal, path, `a principal is "*" or an object`}
	}
	for _, m := range v.members {
		here := join(path, m.name)
		switch m.name {
		case "AWS", "Federated", "Service", "CanonicalUser":
		default:
			return &Error{BadPrincipal, here, "the type of principal is not known"}
		}
		if p.kind == Key && (m.name == "Federated" || m.name == "CanonicalUser") {
			return &Error{BadPrincipal, here, "KMS has no principals of this type"}
		}
		list, err := m.value.list(here, BadPrincipal)
		if err != nil {
			return err
		}
		for _, value := range list {
			if err := p.entry(PrincipalName{m.name, value}, here, s); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *parser) entry(name PrincipalName, path string, s *statement) error {
	e, err := compilePrincipal(name)
	if err != nil {
		return &Error{BadPrincipal, path, err.Error()}
	}
	s.principals = append(s.principals, e)
	return nil
}

func (p *parser) conditions(n node, path string, s *statement) error {
	v, ok := n.get("Condition")
	if !ok {
		return nil
	}
	path = join(path, "Condition")
	if v.shape != objectShape {
		return &Error{BadCondition, path, "an object is expected"}
	}
	for _, m := range v.members {
		here := join(path, m.name)
		if p.idle(m) {
			continue
		}
		o, ok := operatorNamed(m.name)
		if !ok {
			return &Error{BadCondition, here, "Invalid Condition type : " + m.name}
		}
		if m.value.shape != objectShape || len(m.value.members) == 0 {
			return &Error{BadCondition, here, "an object of condition keys is expected"}
		}
		for _, k := range m.value.members {
			c, err := p.condition(o, m.name, k, join(here, k.name))
			if err != nil {
				return err
			}
			s.conditions = append(s.conditions, c)
		}
	}
	return nil
}

func (p *parser) condition(o operator, name string, m member, path string) (condition, error) {
	if err := p.conditionKey(m.name); err != nil {
		return condition{}, &Error{BadCondition, path, err.Error()}
	}
	c := condition{operator: o, name: name, key: m.name, ref: refTo(m.name)}
	p.doc.mentions = append(p.doc.mentions, c.ref.name)
	items := m.value.items
	if m.value.shape != listShape {
		items = []node{m.value}
	}
	if len(items) == 0 && !p.loose() {
		return condition{}, &Error{BadCondition, path, "a value or a list of values is expected"}
	}
	for _, item := range items {
		if item.shape != stringShape && item.shape != bareShape {
			return condition{}, &Error{BadCondition, path, "a value is a string, a number or a boolean"}
		}
		v, err := compileOperand(o, item.text, p.variables())
		if err != nil && o.family == ipFamily {
			return condition{}, &Error{BadAddress, path, err.Error()}
		}
		if err != nil {
			return condition{}, &Error{BadCondition, path, err.Error()}
		}
		v.bare = item.shape == bareShape
		p.mention(v.p)
		p.mention(v.arn.sections[:]...)
		c.values = append(c.values, v)
	}
	return c, nil
}
