"""Events, their fold into states, the policy of what is learned, snapshots."""
