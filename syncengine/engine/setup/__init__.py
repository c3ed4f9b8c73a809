"""From settings and syncengine.yml to a running engine."""
