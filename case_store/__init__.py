"""The book of record: cases, stages, tasks, alerts, evidence, people and the audit trail."""
