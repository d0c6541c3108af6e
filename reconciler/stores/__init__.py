"""Where controllers keep what they decided: one port (`ports.Store`), one contract suite, several stores."""
