"""Stock: what moves it, the business objects that post movements, and what people do with it."""
