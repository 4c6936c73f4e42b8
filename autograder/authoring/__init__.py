"""From a lab's text source to what students get."""
