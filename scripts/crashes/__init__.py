"""`scripts/chaos`: kills, freezes and cuts what runs, at every place, and then asks whether all is right."""
